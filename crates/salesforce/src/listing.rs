//! Listings as Salesforce sends them: one entry for each component, and nothing corrected.
//!
//! A listing streams: [`Listing::next`] hands out an entry as soon as it came, so that 50,000 fields never stand in
//! memory together. Wrong names, missing dates and types are left to `metadata`, which knows the types.

use crate::{
    bounds::LISTED,
    error::{SalesforceError, XmlFault},
    soap::{Envelope, Fields, Part},
    version::ApiVersion,
};

/// One of up to three questions of a listMetadata call.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ListQuery {
    /// API name of the type (a child's and a folder type's too).
    pub type_name: String,
    /// For types in folders: the folder's full name.
    pub folder: Option<String>,
}

impl ListQuery {
    /// All components of a type without folders.
    pub fn of(type_name: impl Into<String>) -> Self {
        Self {
            type_name: type_name.into(),
            folder: None,
        }
    }
}

/// The arguments of a listMetadata call.
pub(crate) fn arguments(queries: &[ListQuery], version: ApiVersion) -> Vec<Part> {
    let query = |query: &ListQuery| {
        let folder = query.folder.as_ref().map(|folder| Part::leaf("folder", folder));
        let name = Part::leaf("type", &query.type_name);
        Part::Node("queries", folder.into_iter().chain([name]).collect())
    };
    let version = Part::leaf("asOfVersion", version.to_string());
    queries.iter().map(query).chain([version]).collect()
}

/// One FileProperties element. Nil and empty values are absent.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct RawListing {
    /// `type`
    pub type_name: Option<String>,
    /// `fullName`, escapes kept.
    pub full_name: Option<String>,
    /// `fileName`
    pub file_name: Option<String>,
    /// `id`
    pub id: Option<String>,
    /// `namespacePrefix`
    pub namespace: Option<String>,
    /// `manageableState`
    pub manageable_state: Option<String>,
    /// `lastModifiedDate` as sent.
    pub last_modified: Option<String>,
    /// `createdDate` as sent.
    pub created: Option<String>,
    /// `lastModifiedByName`
    pub last_modified_by: Option<String>,
}

impl RawListing {
    pub(crate) fn from_fields(mut fields: Fields) -> Self {
        Self {
            type_name: fields.take("type"),
            full_name: fields.take("fullName"),
            file_name: fields.take("fileName"),
            id: fields.take("id"),
            namespace: fields.take("namespacePrefix"),
            manageable_state: fields.take("manageableState"),
            last_modified: fields.take("lastModifiedDate"),
            created: fields.take("createdDate"),
            last_modified_by: fields.take("lastModifiedByName"),
        }
    }
}

/// The answer of a listMetadata call, entry by entry: always a list, of none, one or many.
pub struct Listing {
    envelope: Envelope,
    seen: u64,
    over: bool,
}

impl Listing {
    pub(crate) async fn open(mut envelope: Envelope) -> Result<Self, SalesforceError> {
        envelope.enter("listMetadataResponse").await?;
        Ok(Self {
            envelope,
            seen: 0,
            over: false,
        })
    }

    /// The next entry; `None` at the end of a whole answer.
    pub async fn next(&mut self) -> Result<Option<RawListing>, SalesforceError> {
        if self.over {
            return Ok(None);
        }
        while let Some((name, _)) = self.envelope.child().await? {
            let fields = self.envelope.fields().await?;
            if name == "result" {
                self.seen += 1;
                if self.seen > LISTED {
                    return Err(SalesforceError::Malformed {
                        call: crate::CallKind::List,
                        fault: XmlFault::TooMany,
                    });
                }
                return Ok(Some(RawListing::from_fields(fields)));
            }
        }
        self.over = true;
        self.envelope.finish().await?;
        Ok(None)
    }

    /// All entries: for callers that know the listing to be small.
    pub async fn collect(mut self) -> Result<Vec<RawListing>, SalesforceError> {
        let mut all = Vec::new();
        while let Some(entry) = self.next().await? {
            all.push(entry);
        }
        Ok(all)
    }
}
