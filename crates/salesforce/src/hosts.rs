//! To which hosts credentials may go.
//!
//! An instance URL comes out of an answer, a login URL out of a person's hand: whoever could change either would
//! receive tokens. So every request that carries a secret asks here first. Salesforce's own domains are allowed over
//! https on the standard port; anything else (a simulator, a proxy of a test) must be named in `allowed_hosts`, and
//! only those may be spoken to in plain http.

use std::sync::Arc;

use url::Url;

/// Domains of Salesforce, whose every sub-domain is theirs (source: their CLI's own list; `salesforce.mil` is the
/// Government Cloud's).
const SALESFORCE: [&str; 6] = [
    "salesforce.com",
    "force.com",
    "cloudforce.com",
    "crmforce.mil",
    "salesforce.mil",
    "sfcrmproducts.cn",
];

/// Why a URL gets no credentials.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HostFault {
    /// Not one of Salesforce's hosts, and not named in the settings.
    #[error("{host} is no host of Salesforce; name it in salesforce.allowed_hosts if it is meant")]
    Foreign {
        /// The host.
        host: String,
    },
    /// A host of Salesforce, but not over https on its standard port.
    #[error("{host} must be spoken to over https on port 443")]
    NotSecure {
        /// The host.
        host: String,
    },
    /// No http(s) URL with a host, or one with a user name in it.
    #[error("not a usable address: an http(s) URL with a host and no user name is needed")]
    NoHost,
}

/// Salesforce's hosts and those that the settings name.
#[derive(Clone, Default, Debug)]
pub struct HostPolicy {
    allowed: Arc<[String]>,
}

impl HostPolicy {
    /// `allowed_hosts`: host names or addresses, without scheme; one with a port is allowed on that port alone.
    pub fn new<S: AsRef<str>>(allowed_hosts: impl IntoIterator<Item = S>) -> Self {
        let allowed = allowed_hosts
            .into_iter()
            .map(|host| host.as_ref().trim().to_ascii_lowercase());
        Self {
            allowed: allowed.filter(|host| !host.is_empty()).collect(),
        }
    }

    /// Whether credentials may go to `url`.
    pub fn check(&self, url: &Url) -> Result<(), HostFault> {
        // in lower case already: so are all hosts of addresses with these schemes
        let host = url.host_str().ok_or(HostFault::NoHost)?;
        if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some()
        {
            return Err(HostFault::NoHost);
        }
        let port = url.port_or_known_default();
        let with_port = |allowed: &str| {
            let parts = allowed.rsplit_once(':');
            parts.is_some_and(|(name, named)| name == host && named.parse().ok() == port)
        };
        let named = |allowed: &String| allowed == host || with_port(allowed);
        if self.allowed.iter().any(named) {
            return Ok(());
        }
        let under = |domain: &str| host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
        if !SALESFORCE.into_iter().any(under) {
            return Err(HostFault::Foreign {
                host: host.to_owned(),
            });
        }
        if url.scheme() == "https" && url.port().is_none() {
            Ok(())
        } else {
            Err(HostFault::NotSecure {
                host: host.to_owned(),
            })
        }
    }

    /// Reads an address and keeps scheme, host and port of it.
    pub fn origin(&self, text: &str) -> Result<Url, HostFault> {
        let url: Url = text.trim().parse().map_err(|_| HostFault::NoHost)?;
        self.check(&url)?;
        Ok(origin(url))
    }
}

/// Scheme, host and port of an address, unchecked: for one that is kept before anything is sent there.
pub(crate) fn origin(mut url: Url) -> Url {
    url.set_path("/");
    url.set_query(None);
    url.set_fragment(None);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(policy: &HostPolicy, url: &str) -> Result<(), HostFault> {
        policy.check(&url.parse().unwrap())
    }

    #[test]
    fn salesforces_hosts_get_credentials_over_https_alone() {
        let policy = HostPolicy::default();
        for host in [
            "login.salesforce.com",
            "acme--dev.sandbox.my.salesforce.com",
            "acme.my.salesforce.mil",
            "acme.my.sfcrmproducts.cn",
        ] {
            assert_eq!(check(&policy, &format!("https://{host}/x")), Ok(()), "{host}");
            assert!(check(&policy, &format!("http://{host}/x")).is_err(), "{host}");
            assert!(
                check(&policy, &format!("https://{host}:8443/x")).is_err(),
                "{host}"
            );
        }
    }

    #[test]
    fn look_alikes_get_none() {
        let policy = HostPolicy::new(["", " "]);
        for url in [
            "https://evilsalesforce.com/",
            "https://salesforce.com.evil.test/",
            "https://my-salesforce.com/",
            "https://login.salesforce.com@evil.test/",
            "https://127.0.0.1/",
            "ftp://login.salesforce.com/",
            "https://user:pw@login.salesforce.com/",
        ] {
            assert!(check(&policy, url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_named_host_gets_them_also_in_plain_http() {
        let policy = HostPolicy::new(["127.0.0.1", "sim.test:8080"]);
        assert_eq!(check(&policy, "http://127.0.0.1:4711/x"), Ok(()));
        assert_eq!(check(&policy, "http://sim.test:8080/"), Ok(()));
        assert!(check(&policy, "http://sim.test:8081/").is_err());
        assert_eq!(
            policy.origin("http://127.0.0.1:4711/a?b#c").unwrap().as_str(),
            "http://127.0.0.1:4711/"
        );
    }
}
