//! Single members with oddities, laid over an org.
//!
//! Real listings hold entries whose type is nil, names that retrieve does not know, the same package twice. Such an
//! entry is an [`Extra`]: the test that needs one says what is listed and what is delivered. The oddities that were
//! seen in public are ready as [`Quirk`]s.

use jiff::Timestamp;
use serde::Deserialize;

use super::{SourceFile, date_of};
use crate::types::TypeId;

/// One member beside those of the org itself. Children of other members cannot be extras.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Extra {
    pub kind: String,
    /// As retrieve knows and delivers it.
    pub full_name: String,
    /// As the listing names it.
    pub listed_name: String,
    /// Further names under which retrieve finds it.
    pub aliases: Vec<String>,
    pub namespace: Option<String>,
    pub manageable_state: &'static str,
    pub nil_type: bool,
    pub nil_file_name: bool,
    pub nil_dates: bool,
    /// How often the listing repeats it.
    pub listed_times: usize,
    /// None: the epoch.
    pub modified: Option<Timestamp>,
    pub files: Vec<SourceFile>,
}

/// A type beyond the simulator's table, as a release of next year would bring it.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct ExtraType {
    pub name: String,
    pub directory: String,
    pub suffix: String,
    #[serde(default)]
    pub children: Vec<String>,
}

impl Extra {
    /// An unmanaged member with one XML file at its usual place.
    pub fn new(kind: &str, full_name: &str, content: impl Into<Vec<u8>>) -> Self {
        let path = TypeId::named(kind).map_or_else(
            || format!("{kind}/{full_name}"),
            |kind| super::place::file_name(kind, full_name),
        );
        let path = if kind.ends_with("Folder") {
            format!("{path}-meta.xml")
        } else {
            path
        };
        Self {
            kind: kind.to_owned(),
            full_name: full_name.to_owned(),
            listed_name: full_name.to_owned(),
            aliases: Vec::new(),
            namespace: None,
            manageable_state: "unmanaged",
            nil_type: false,
            nil_file_name: false,
            nil_dates: false,
            listed_times: 1,
            modified: Some(date_of(0, 1)),
            files: vec![SourceFile {
                path,
                bytes: content.into(),
            }],
        }
    }

    #[must_use]
    pub fn listed_as(mut self, name: &str) -> Self {
        name.clone_into(&mut self.listed_name);
        self
    }

    /// Retrieve finds it under the listed name too, and delivers it under its own.
    #[must_use]
    pub fn found_as_listed(mut self) -> Self {
        self.aliases.push(self.listed_name.clone());
        self
    }

    #[must_use]
    pub fn in_package(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self.manageable_state = "installed";
        self
    }

    #[must_use]
    pub fn with_files(mut self, files: Vec<SourceFile>) -> Self {
        self.files = files;
        self
    }

    #[must_use]
    pub fn dated(mut self, modified: Option<Timestamp>) -> Self {
        self.modified = modified;
        self
    }
}

/// Oddities seen in public, by the id of the report where there is one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quirk {
    /// B03: the listing leaves the namespace out of the layout's second half.
    ManagedLayout,
    /// B05: a managed and an unmanaged record of one name.
    RecordTwins,
    /// B07: dashboards three folders deep.
    DeepDashboards,
    /// B11: an entry whose file name is nil.
    NilFileName,
    /// B13: an entry whose type and file name are nil.
    NilType,
    /// Packages are listed twice.
    DoubledPackages,
    /// B41 and B45: layouts whose names hold nearly any character, encoded.
    OddLayouts,
    /// B43: listed with parentheses, delivered with their codes.
    ParenthesesProfile,
    /// An entry whose dates are nil.
    NilDates,
    /// A carriage return inside a text, unencoded, as Salesforce writes it.
    CarriageReturns,
    /// A record type that is in its object's file and in no listing.
    HiddenRecordType,
    /// A nested report folder that is listed by the last part of its path.
    ShortFolderNames,
    /// A managed class, whose body is hidden.
    HiddenApex,
    /// B47: a type of the next release, which no table knows.
    NextRelease,
}

const NEXT_RELEASE: &str = "NextReleaseThing";

fn xml(root: &str, label: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} xmlns=\"http://soap.sforce.com/2006/04/metadata\">\n    \
         <label>{label}</label>\n</{root}>\n"
    )
}

impl Quirk {
    pub const ALL: [Quirk; 14] = [
        Quirk::ManagedLayout,
        Quirk::RecordTwins,
        Quirk::DeepDashboards,
        Quirk::NilFileName,
        Quirk::NilType,
        Quirk::DoubledPackages,
        Quirk::OddLayouts,
        Quirk::ParenthesesProfile,
        Quirk::NilDates,
        Quirk::CarriageReturns,
        Quirk::HiddenRecordType,
        Quirk::ShortFolderNames,
        Quirk::HiddenApex,
        Quirk::NextRelease,
    ];

    /// The members that show the oddity.
    pub fn extras(self) -> Vec<Extra> {
        let plain = |kind: &str, name: &str| Extra::new(kind, name, xml(kind, name));
        match self {
            Quirk::ManagedLayout => vec![
                Extra::new(
                    "Layout",
                    "SBQQ__Quote__c-SBQQ__Quote Layout",
                    xml("Layout", "Quote"),
                )
                .listed_as("SBQQ__Quote__c-Quote Layout")
                .in_package("SBQQ"),
            ],
            Quirk::RecordTwins => vec![
                plain("CustomMetadata", "Setting.Default").dated(None),
                plain("CustomMetadata", "Setting.ns__Default")
                    .listed_as("Setting.Default")
                    .in_package("ns")
                    .dated(None),
            ],
            Quirk::DeepDashboards => vec![
                plain("DashboardFolder", "top"),
                plain("DashboardFolder", "top/su"),
                plain("DashboardFolder", "top/su/su1"),
                plain("Dashboard", "top/su/su1/Deep"),
                Extra::new("ReportFolder", "top", shared_folder()),
            ],
            Quirk::NilFileName => vec![Extra {
                nil_file_name: true,
                ..plain("Prompt", "Welcome_Mat")
            }],
            Quirk::NilType => {
                vec![Extra {
                    nil_type: true,
                    nil_file_name: true,
                    ..plain("AnimationRule", "_Default")
                }]
            }
            Quirk::DoubledPackages => ["npe01", "npo02"]
                .map(|name| Extra {
                    listed_times: 2,
                    ..plain("InstalledPackage", name)
                })
                .into_iter()
                .collect(),
            Quirk::OddLayouts => vec![
                plain(
                    "Layout",
                    "Account-%5E ° %21 %22 § %24 %25 %26 %2F %28 %29 %3D %3F ä ß 製",
                ),
                plain("Layout", "Broker__c-v1%2E1 Broker Layout"),
            ],
            Quirk::ParenthesesProfile => {
                vec![
                    plain("Profile", "My%28awesome%29profile")
                        .listed_as("My(awesome)profile")
                        .found_as_listed(),
                ]
            }
            Quirk::NilDates => vec![Extra {
                nil_dates: true,
                ..plain("CustomApplication", "standard__Nil")
            }],
            Quirk::CarriageReturns => vec![Extra::new(
                "CustomTab",
                "Carriage",
                xml("CustomTab", "one\rtwo\r\nthree"),
            )],
            Quirk::HiddenRecordType => {
                let hidden = "<recordTypes><fullName>InternalIdeasIdeaRecordType</fullName><active>true</active></recordTypes>";
                let file = xml("CustomObject", "Idea")
                    .replace("</CustomObject>", &format!("    {hidden}\n</CustomObject>"));
                vec![Extra::new("CustomObject", "Idea", file).dated(None)]
            }
            Quirk::ShortFolderNames => vec![
                Extra::new("ReportFolder", "upper", shared_folder()),
                Extra::new("ReportFolder", "upper/lower", shared_folder()).listed_as("lower"),
            ],
            Quirk::HiddenApex => {
                let file = |path: &str, text: &str| SourceFile {
                    path: path.to_owned(),
                    bytes: text.as_bytes().to_vec(),
                };
                let class = Extra::new("ApexClass", "SBQQ__Engine", "").in_package("SBQQ");
                vec![class.with_files(vec![
                    file("classes/SBQQ__Engine.cls", "(hidden)"),
                    file("classes/SBQQ__Engine.cls-meta.xml", &xml("ApexClass", "Engine")),
                ])]
            }
            Quirk::NextRelease => ["One", "Two", "Three"]
                .map(|name| {
                    let path = format!("nextReleaseThings/{name}.nextReleaseThing");
                    let bytes = xml(NEXT_RELEASE, name).into_bytes();
                    plain(NEXT_RELEASE, name).with_files(vec![SourceFile { path, bytes }])
                })
                .into_iter()
                .collect(),
        }
    }

    /// The types that the oddity needs beyond the table.
    pub fn types(self) -> Vec<ExtraType> {
        match self {
            Quirk::NextRelease => vec![ExtraType {
                name: NEXT_RELEASE.to_owned(),
                directory: "nextReleaseThings".to_owned(),
                suffix: "nextReleaseThing".to_owned(),
                children: vec!["NextReleasePart".to_owned()],
            }],
            _ => Vec::new(),
        }
    }
}

fn shared_folder() -> &'static str {
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ReportFolder xmlns=\"http://soap.sforce.com/2006/04/metadata\">\n    \
     <folderShares>\n        <accessLevel>View</accessLevel>\n        <sharedTo>AllInternalUsers</sharedTo>\n        \
     <sharedToType>Group</sharedToType>\n    </folderShares>\n    <name>Top</name>\n</ReportFolder>\n"
}
