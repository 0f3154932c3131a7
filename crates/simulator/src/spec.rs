//! What an org is to be: from what it is made, of which edition, with which clouds, limits and oddities.
//!
//! Plain values that a command line or a test fills in; what becomes of them is known by `org`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{
    inventory::extras::{Extra, ExtraType, Quirk},
    limits::OrgLimits,
    tokens::Rotation,
};

/// Salesforce's editions that have an API.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edition {
    Developer,
    Professional,
    Enterprise,
    Unlimited,
    Performance,
}

impl Edition {
    /// As `OrganizationType` says it.
    pub(crate) fn organization_type(self) -> &'static str {
        match self {
            Self::Developer => "Developer Edition",
            Self::Professional => "Professional Edition",
            Self::Enterprise => "Enterprise Edition",
            Self::Unlimited => "Unlimited Edition",
            Self::Performance => "Performance Edition",
        }
    }

    /// Requests of a day before anything is bought.
    fn daily_requests(self) -> u64 {
        match self {
            Self::Developer => 15_000,
            Self::Professional | Self::Enterprise | Self::Unlimited | Self::Performance => 100_000,
        }
    }
}

/// What an org may have beside the usual types: types of its own, and the managed package that some bring.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cloud {
    Service,
    Experience,
    /// Salesforce CPQ, with its package SBQQ.
    Cpq,
    Revenue,
    Omnistudio,
    /// With its package FSL.
    FieldService,
    Agentforce,
}

impl std::str::FromStr for Edition {
    type Err = serde_json::Error;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        serde_json::from_value(word.into())
    }
}

impl std::str::FromStr for Cloud {
    type Err = serde_json::Error;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        serde_json::from_value(word.into())
    }
}

impl Cloud {
    /// Every one.
    pub const ALL: [Cloud; 7] = [
        Cloud::Service,
        Cloud::Experience,
        Cloud::Cpq,
        Cloud::Revenue,
        Cloud::Omnistudio,
        Cloud::FieldService,
        Cloud::Agentforce,
    ];

    /// The package that it brings, and some of its objects.
    fn package(self) -> Option<(&'static str, &'static [&'static str])> {
        match self {
            Self::Cpq => Some((
                "SBQQ",
                &[
                    "Quote",
                    "QuoteLine",
                    "ProductRule",
                    "PriceRule",
                    "DiscountSchedule",
                ],
            )),
            Self::FieldService => Some(("FSL", &["Scheduling_Policy", "Work_Rule", "Service_Goal"])),
            _ => None,
        }
    }

    /// The managed components of its package, as a listing of real orgs shows them.
    pub(crate) fn extras(self) -> Vec<Extra> {
        let Some((namespace, objects)) = self.package() else {
            return Vec::new();
        };
        let xml = |root: &str, inner: &str| {
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} xmlns=\"http://soap.sforce.com/2006/04/metadata\">\n    \
                 {inner}\n</{root}>\n"
            )
        };
        let package = xml("InstalledPackage", "<versionNumber>240.2</versionNumber>");
        let mut extras = vec![Extra::new("InstalledPackage", namespace, package)];
        for object in objects {
            let name = format!("{namespace}__{object}__c");
            let label = format!("<label>{}</label>", object.replace('_', " "));
            extras.push(Extra::new("CustomObject", &name, xml("CustomObject", &label)).in_package(namespace));
            let layout = format!("{name}-{namespace}__{object} Layout");
            // Listings leave the namespace out of a layout's second half.
            extras.push(
                Extra::new(
                    "Layout",
                    &layout,
                    xml("Layout", "<headers>PublicTagging</headers>"),
                )
                .listed_as(&format!("{name}-{object} Layout"))
                .in_package(namespace),
            );
        }
        extras
    }
}

/// What an org is to be.
#[derive(Clone, Debug)]
pub struct OrgSpec {
    pub name: String,
    pub source: OrgSource,
    /// `TimeZoneSidKey` of Organization and of the user.
    pub time_zone: String,
    pub rotation: Rotation,
    /// Asked for at the token endpoint when set.
    pub client_secret: Option<String>,
    pub sandbox: bool,
    pub instance_name: String,
    /// `OrganizationType`, and how many requests a day allows; none: Developer Edition, a sandbox Enterprise Edition.
    pub edition: Option<Edition>,
    /// What the org has beside the usual types.
    pub clouds: Vec<Cloud>,
    /// The org's own namespace, which its components are listed with.
    pub namespace: Option<String>,
    pub extras: Vec<Extra>,
    pub extra_types: Vec<ExtraType>,
    /// In the place of the edition's.
    pub limits: Option<OrgLimits>,
}

/// From what an org is made.
#[derive(Clone, Debug)]
pub enum OrgSource {
    Generated {
        seed: u64,
        /// Members, folders and children together.
        size: u64,
        /// What a member's main file weighs at least, in bytes; 0 leaves it as short as its content is.
        weight: usize,
    },
    Folder {
        dir: PathBuf,
        /// The tree of the night after.
        next: Option<PathBuf>,
    },
}

impl OrgSpec {
    /// An org made from a seed, with exactly `size` components.
    pub fn generated(name: &str, seed: u64, size: u64) -> Self {
        Self::weighing(name, seed, size, 0)
    }

    /// The same with long files: a member's main file weighs at least `weight` bytes.
    pub fn weighing(name: &str, seed: u64, size: u64, weight: usize) -> Self {
        Self::new(name, OrgSource::Generated { seed, size, weight })
    }

    /// An org read from a folder in Metadata API format or in source format.
    pub fn from_folder(name: &str, dir: impl Into<PathBuf>, next: Option<PathBuf>) -> Self {
        Self::new(
            name,
            OrgSource::Folder {
                dir: dir.into(),
                next,
            },
        )
    }

    fn new(name: &str, source: OrgSource) -> Self {
        Self {
            name: name.to_owned(),
            source,
            time_zone: "America/Los_Angeles".to_owned(),
            rotation: Rotation::Off,
            client_secret: None,
            sandbox: false,
            instance_name: "SIM1".to_owned(),
            edition: None,
            clouds: Vec::new(),
            namespace: None,
            extras: Vec::new(),
            extra_types: Vec::new(),
            limits: None,
        }
    }

    #[must_use]
    pub fn in_time_zone(mut self, zone: &str) -> Self {
        zone.clone_into(&mut self.time_zone);
        self
    }

    #[must_use]
    pub fn of_edition(mut self, edition: Edition) -> Self {
        self.edition = Some(edition);
        self
    }

    #[must_use]
    pub fn with_cloud(mut self, cloud: Cloud) -> Self {
        self.clouds.push(cloud);
        self
    }

    #[must_use]
    pub fn named_within(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// The edition that the org has, said or not.
    pub(crate) fn edition(&self) -> Edition {
        self.edition.unwrap_or(if self.sandbox {
            Edition::Enterprise
        } else {
            Edition::Developer
        })
    }

    /// The limits that it begins with.
    pub(crate) fn limits(&self) -> OrgLimits {
        self.limits.unwrap_or_else(|| OrgLimits {
            daily_requests: self
                .edition
                .map_or(OrgLimits::default().daily_requests, Edition::daily_requests),
            ..OrgLimits::default()
        })
    }

    #[must_use]
    pub fn rotating(mut self) -> Self {
        self.rotation = Rotation::On;
        self
    }

    #[must_use]
    pub fn as_sandbox(mut self) -> Self {
        self.sandbox = true;
        self
    }

    #[must_use]
    pub fn with_secret(mut self, secret: &str) -> Self {
        self.client_secret = Some(secret.to_owned());
        self
    }

    /// With limits of its own.
    #[must_use]
    pub fn limited(mut self, limits: OrgLimits) -> Self {
        self.limits = Some(limits);
        self
    }

    #[must_use]
    pub fn with(mut self, extra: Extra) -> Self {
        self.extras.push(extra);
        self
    }

    #[must_use]
    pub fn with_quirk(mut self, quirk: Quirk) -> Self {
        self.extras.extend(quirk.extras());
        self.extra_types.extend(quirk.types());
        self
    }
}

/// What a caller needs to connect to an org.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct OrgAccess {
    pub name: String,
    pub organization_id: String,
    pub user_id: String,
    pub username: String,
    pub password: String,
    pub client_id: String,
    /// Of an app that has one.
    pub client_secret: Option<String>,
    pub refresh_token: String,
    pub instance_url: String,
    pub time_zone: String,
}
