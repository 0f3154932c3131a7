//! Digests: what readMetadata says of members whose dates say nothing, so that only those that differ are retrieved.
//!
//! Reading 200 records costs one call and some kilobytes; a retrieve of them costs three calls and ten times the
//! bytes. A digest is only compared with the digest of an earlier night, never with a file: what a zip holds is for
//! retrieves alone to say. Reading is no more than a saving: what could not be read is retrieved, and nothing fails.

use std::collections::{BTreeMap, HashMap};

use domain::ComponentKey;
use futures::{StreamExt, stream};
use nightshift_domain as domain;
use nightshift_jobs::StepCx;
use nightshift_metadata::{Dated, TypeInfo, parse_file, registry};
use nightshift_salesforce::{Client, ReadRequest, SalesforceError};
use nightshift_store::dictionary::DeltaRow;

use crate::{context::SyncContext, trouble::Trouble};

/// After so many refused calls the rest of the night is not read.
const REFUSALS: u32 = 3;

/// Reads the digests of one listing.
pub(super) struct Digests<'a> {
    client: &'a Client,
    refusals_left: u32,
}

impl<'a> Digests<'a> {
    pub(super) fn new(client: &'a Client) -> Self {
        Self {
            client,
            refusals_left: REFUSALS,
        }
    }

    /// Adds tonight's digests to the rows of a page that are compared by them, and stages them.
    pub(super) async fn add(
        &mut self,
        cx: &mut StepCx<'_, SyncContext>,
        page: &mut [DeltaRow],
    ) -> Result<(), Trouble> {
        let at_a_time = cx.context.settings.concurrent_lists.max(1) as usize;
        let digests = self.read(page, at_a_time).await;
        for row in page {
            if let Some(digest) = digests.get(&row.entry.key) {
                row.entry.digest = Some(*digest);
                cx.staging.listed(&row.entry).await?;
            }
        }
        Ok(())
    }

    async fn read(&mut self, page: &[DeltaRow], at_a_time: usize) -> HashMap<ComponentKey, [u8; 32]> {
        let mut digests = HashMap::new();
        // made before the first is awaited: a closure over borrowed names is not `Send` enough for the step
        let calls: Vec<_> = questions(page)
            .into_iter()
            .map(|(info, request)| ask(self.client, info, request))
            .collect();
        let mut answers = stream::iter(calls).buffer_unordered(at_a_time);
        while self.refusals_left > 0
            && let Some(answer) = answers.next().await
        {
            match answer {
                Ok(read) => digests.extend(read),
                Err(error) => self.refused(&error),
            }
        }
        digests
    }

    fn refused(&mut self, error: &SalesforceError) {
        tracing::warn!(%error, "members were not read; they are retrieved instead");
        self.refusals_left = match error {
            SalesforceError::Refused(_) => self.refusals_left.saturating_sub(1),
            _ => 0,
        };
    }
}

/// The members of a page that are compared by digests, in as many calls as they need.
fn questions(page: &[DeltaRow]) -> Vec<(&'static TypeInfo, ReadRequest<'_>)> {
    let mut types: BTreeMap<&str, (&'static TypeInfo, Vec<&str>)> = BTreeMap::new();
    for row in page {
        let info = registry().by_name(&row.entry.key.type_name);
        if let Some(info) = info.filter(|info| info.dated == Dated::ByReading) {
            let (_, names) = types.entry(info.name).or_insert((info, Vec::new()));
            names.push(&row.entry.full_name);
        }
    }
    let of_type = |(info, names): (&'static TypeInfo, Vec<_>)| {
        let requests = ReadRequest::cut(info.name, &names).into_iter();
        requests.map(move |request| (info, request))
    };
    types.into_values().flat_map(of_type).collect()
}

async fn ask(
    client: &Client,
    info: &TypeInfo,
    request: ReadRequest<'_>,
) -> Result<Vec<(ComponentKey, [u8; 32])>, SalesforceError> {
    let mut reading = client.read_metadata(&request).await?;
    let mut digests = Vec::new();
    while let Some(record) = reading.next().await? {
        if let Ok(parsed) = parse_file(info, &record.full_name, record.xml.as_bytes()) {
            digests.push((
                ComponentKey::new(info.name, &record.full_name),
                parsed.canonical_hash,
            ));
        }
    }
    Ok(digests)
}

#[cfg(test)]
mod tests {
    use domain::ListedEntry;

    use super::*;

    fn row(type_name: &str, name: &str) -> DeltaRow {
        DeltaRow {
            entry: ListedEntry {
                key: ComponentKey::new(type_name, name),
                full_name: name.to_owned(),
                file_name: name.to_owned(),
                namespace: None,
                salesforce_id: None,
                last_modified: None,
                parent: None,
                digest: None,
            },
            known: true,
            differs: false,
            digest: None,
            gap: false,
            children_differ: false,
            files: None,
            bytes: None,
        }
    }

    #[test]
    fn only_members_that_are_compared_by_digests_are_read_and_no_call_is_too_large() {
        let mut page = vec![row("ApexClass", "A"), row("Settings", "S")];
        page.extend((0..450).map(|n| row("CustomMetadata", &format!("Setting.{n}"))));
        let sizes: Vec<usize> = questions(&page)
            .iter()
            .map(|(_, request)| request.names().len())
            .collect();
        assert_eq!(sizes, [200, 200, 50]);
        assert!(
            questions(&page)
                .iter()
                .all(|(info, _)| info.name == "CustomMetadata")
        );
    }
}
