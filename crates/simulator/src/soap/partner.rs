//! The partner and enterprise APIs as far as sessions go: login, who am I, logout.
//!
//! Records over SOAP are not served: every client that reads them has REST.

use super::{envelope::XML, open};
use crate::{
    http::Answer,
    org::Org,
    server::Shared,
    tables::username,
    xml::{Element, escape},
};

const NAMESPACE: &str = "urn:partner.soap.sforce.com";
const INVALID_LOGIN: &str = "Invalid username, password, security token; or user locked out.";
const NO_SESSION: &str =
    "Invalid Session ID found in SessionHeader: Illegal Session. Session not found, missing session hash";

/// A request, read by its local names.
pub(crate) struct Request {
    body: Element,
    pub session: String,
}

impl Request {
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (session, body) = open(text).ok()?;
        Some(Self { body, session })
    }

    /// Who wants to log in.
    pub(crate) fn username(&self) -> Option<&str> {
        (self.body.name == "login").then(|| self.body.text_of("username"))
    }

    /// The answer to somebody whom no org knows.
    pub(crate) fn refused(&self) -> Answer {
        match self.username() {
            Some(_) => fault("INVALID_LOGIN", INVALID_LOGIN, "LoginFault"),
            None => fault("INVALID_SESSION_ID", NO_SESSION, "UnexpectedErrorFault"),
        }
    }
}

/// Answers a request of the org's user.
pub(crate) fn answer(shared: &Shared, org: &Org, request: &Request) -> Answer {
    let call = request.body.name.as_str();
    if call == "login" {
        return login(shared, org, request);
    }
    if !org.opens(&request.session) {
        return request.refused();
    }
    match call {
        "logout" => {
            org.tokens().revoke(&request.session);
            response(call, "")
        }
        "getUserInfo" => response(call, &format!("<result>{}</result>", user_info(org))),
        _ => {
            let text = format!("No operation available for request {call}");
            fault("INVALID_OPERATION", &text, "UnexpectedErrorFault")
        }
    }
}

fn login(shared: &Shared, org: &Org, request: &Request) -> Answer {
    if !request.body.text_of("password").starts_with(&org.password) {
        return request.refused();
    }
    let lifetime = shared.settings.access_token_lifetime;
    let session = org.tokens().session(shared.clock.now(), lifetime).access;
    let base = shared.base_url();
    let version = f64::from(shared.settings.greatest_version) / 10.0;
    let address = |api: &str| {
        format!(
            "{base}/services/Soap/{api}/{version:.1}/{}",
            &org.organization_id[..15]
        )
    };
    let content = format!(
        "<result><metadataServerUrl>{}</metadataServerUrl><passwordExpired>false</passwordExpired><sandbox>{}</sandbox>\
         <serverUrl>{}</serverUrl><sessionId>{}</sessionId><userId>{}</userId><userInfo>{}</userInfo></result>",
        address("m"),
        org.spec.sandbox,
        address("u"),
        escape(&session),
        org.user_id,
        user_info(org)
    );
    response("login", &content)
}

fn user_info(org: &Org) -> String {
    format!(
        "<organizationId>{}</organizationId><organizationMultiCurrency>false</organizationMultiCurrency>\
         <organizationName>{}</organizationName><sessionSecondsValid>7200</sessionSecondsValid>\
         <userEmail>admin@example.com</userEmail><userFullName>Sim Admin</userFullName><userId>{}</userId>\
         <userLanguage>en_US</userLanguage><userLocale>en_US</userLocale><userName>{}</userName>\
         <userTimeZone>{}</userTimeZone><userType>Standard</userType>",
        org.organization_id,
        escape(&org.spec.name),
        org.user_id,
        escape(&username(org)),
        escape(&org.spec.time_zone)
    )
}

fn response(call: &str, content: &str) -> Answer {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns=\"{NAMESPACE}\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soapenv:Body><{call}Response>{content}\
         </{call}Response></soapenv:Body></soapenv:Envelope>"
    );
    Answer::new(200, XML, body)
}

/// A fault of this API, which says everything twice.
pub(crate) fn fault(code: &str, text: &str, kind: &str) -> Answer {
    let text = escape(text);
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:sf=\"urn:fault.partner.soap.sforce.com\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\
         <soapenv:Body><soapenv:Fault><faultcode>sf:{code}</faultcode><faultstring>{code}: {text}</faultstring>\
         <detail><sf:{kind} xsi:type=\"sf:{kind}\"><sf:exceptionCode>{code}</sf:exceptionCode>\
         <sf:exceptionMessage>{text}</sf:exceptionMessage></sf:{kind}></detail></soapenv:Fault></soapenv:Body>\
         </soapenv:Envelope>"
    );
    Answer::new(500, XML, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_known_by_its_username() {
        let read = |body: &str| Request::read(&format!("<E><Header/><Body>{body}</Body></E>"));
        let login = read("<login><username>a@b</username><password>p</password></login>").unwrap();
        assert_eq!((login.username(), login.session.as_str()), (Some("a@b"), ""));
        assert_eq!(read("<logout/>").unwrap().username(), None);
        assert!(read("").is_none());
    }
}
