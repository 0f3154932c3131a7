//! Our own way to Salesforce: the proxy, the private CA, and what is told when they are in the way.
//!
//! Between a worker and Salesforce stand a resolver, perhaps a proxy, perhaps a box that opens TLS. When one of them
//! fails every org fails alike, and no administrator of an org can mend it: so these troubles are told apart from
//! Salesforce's, each with a word of its own for the table of verdicts. Where a setting comes from is left to the
//! binary.

use std::{error::Error, io};

use reqwest::{Certificate, ClientBuilder, NoProxy};
use rustls::CertificateError as Fault;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::error::{Broken, SalesforceError};

/// Which proxy to use.
#[derive(Clone, Debug)]
pub enum Proxy {
    /// As `HTTPS_PROXY`, `NO_PROXY`, ... say.
    FromEnvironment,
    /// None, whatever the environment says.
    None,
    /// This one, whatever the environment says.
    At {
        /// `http://user:password@host:port`; https too, where the proxy itself speaks TLS.
        url: SecretString,
        /// Hosts, domains (with all below them) and networks that are reached without it.
        except: Vec<String>,
    },
}

/// How the proxy's address is written: the accepted form, for texts.
pub const PROXY_FORM: &str = "http://user:password@proxy.example.com:3128";

/// Prepares the client's builder: its proxy, and the authorities that are trusted besides the machine's own.
pub(crate) fn prepare(
    builder: ClientBuilder,
    proxy: &Proxy,
    authorities: Option<&[u8]>,
) -> Result<ClientBuilder, SalesforceError> {
    let builder = match proxy {
        Proxy::FromEnvironment => builder,
        Proxy::None => builder.no_proxy(),
        Proxy::At { url, except } => builder.proxy(at(url, except)?),
    };
    match authorities {
        None => Ok(builder),
        Some(pem) => Ok(builder.tls_certs_merge(certificates(pem)?)),
    }
}

fn at(url: &SecretString, except: &[String]) -> Result<reqwest::Proxy, SalesforceError> {
    // the fault is named without the address, which may hold a password
    let unusable =
        || SalesforceError::Settings(format!("salesforce.proxy is not like {PROXY_FORM}, and not none"));
    let url: Url = url.expose_secret().trim().parse().map_err(|_| unusable())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(unusable());
    }
    let proxy = reqwest::Proxy::all(url).map_err(|_| unusable())?;
    Ok(proxy.no_proxy(NoProxy::from_string(&except.join(","))))
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate>, SalesforceError> {
    let unusable = |why: &str| SalesforceError::Settings(format!("the file of salesforce.ca_file {why}"));
    let found = Certificate::from_pem_bundle(pem).map_err(|_| unusable("is no PEM"))?;
    if found.is_empty() {
        return Err(unusable(
            "holds no certificate in PEM (-----BEGIN CERTIFICATE-----)",
        ));
    }
    Ok(found)
}

/// In which way a connection failed that was not there yet; `words` are all of the error's, in lower case.
pub(crate) fn broken(error: &(dyn Error + 'static), words: &str) -> Broken {
    if words.contains("tunnel error") {
        return proxy(words);
    }
    match tls_fault(error) {
        Some(rustls::Error::InvalidCertificate(fault)) => return certificate(fault),
        Some(_) => return Broken::Tls,
        None => {}
    }
    let has = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
    match () {
        () if has(&["temporary failure in name resolution", "try again"]) => Broken::Resolver,
        () if has(&["dns error", "failed to lookup", "name resolution"]) => Broken::Dns,
        () if has(&["certificate", "handshake", "tls", "corrupt message", "ssl"]) => Broken::Tls,
        () => Broken::Connect,
    }
}

/// Words of the tunnel that a proxy is asked for. Its type is not public; its words are.
fn proxy(words: &str) -> Broken {
    if words.contains("proxy authorization required") {
        Broken::ProxyAuthorization
    } else if words.contains("failed to create underlying connection") {
        Broken::ProxyUnreachable
    } else {
        Broken::ProxyRefused
    }
}

fn certificate(fault: &Fault) -> Broken {
    match fault {
        // one of the same name with another key: a private CA that was made anew
        Fault::UnknownIssuer | Fault::BadSignature => Broken::UnknownAuthority,
        Fault::Expired
        | Fault::ExpiredContext { .. }
        | Fault::NotValidYet
        | Fault::NotValidYetContext { .. } => Broken::CertificateExpired,
        Fault::NotValidForName | Fault::NotValidForNameContext { .. } => Broken::CertificateName,
        _ => Broken::Tls,
    }
}

/// The fault of TLS among an error's causes. One that travels as an I/O error hides behind it: such an error names
/// the cause of what it holds as its own.
fn tls_fault<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(fault) = error.downcast_ref() {
            return Some(fault);
        }
        cause = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(held) => Some(held),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &str) -> Broken {
        broken(&io::Error::other(words.to_owned()), &words.to_lowercase())
    }

    #[test]
    fn a_name_that_nobody_knows_and_a_resolver_that_does_not_answer_are_two_things() {
        let lookup = "client error (Connect): dns error: failed to lookup address information: ";
        assert_eq!(words(&format!("{lookup}Name or service not known")), Broken::Dns);
        assert_eq!(
            words(&format!("{lookup}Temporary failure in name resolution")),
            Broken::Resolver
        );
    }

    #[test]
    fn what_a_proxy_does_is_told_apart() {
        for (text, expected) in [
            (
                "tunnel error: failed to create underlying connection: dns error",
                Broken::ProxyUnreachable,
            ),
            (
                "tunnel error: proxy authorization required",
                Broken::ProxyAuthorization,
            ),
            ("tunnel error: unsuccessful", Broken::ProxyRefused),
            ("tunnel error: unexpected end of file", Broken::ProxyRefused),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn a_fault_of_tls_is_found_behind_an_input_error() {
        let fault = |fault| io::Error::other(rustls::Error::InvalidCertificate(fault));
        for (error, expected) in [
            (fault(Fault::UnknownIssuer), Broken::UnknownAuthority),
            (fault(Fault::BadSignature), Broken::UnknownAuthority),
            (fault(Fault::Expired), Broken::CertificateExpired),
            (fault(Fault::NotValidForName), Broken::CertificateName),
            (fault(Fault::Revoked), Broken::Tls),
        ] {
            assert_eq!(broken(&error, ""), expected, "{error}");
        }
    }

    #[test]
    fn an_address_that_is_none_is_refused_without_being_shown() {
        for bad in ["proxy:hunter2@3128", "socks5://u:hunter2@p:1", "hunter2", ""] {
            let error = at(&bad.into(), &[]).unwrap_err().to_string();
            assert!(
                !error.contains("hunter2") && error.contains(PROXY_FORM),
                "{error}"
            );
        }
        assert!(at(&"http://u:p@proxy.test:3128".into(), &["10.0.0.0/8".to_owned()]).is_ok());
    }

    #[test]
    fn a_file_without_a_certificate_is_named() {
        for bad in [
            "",
            "hello",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            assert!(certificates(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
