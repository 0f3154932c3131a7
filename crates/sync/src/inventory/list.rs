//! Listing: three types to a call, several calls at a time, folders before what is in them.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Effect, LeftOut, LeftOutReason, TypeHealth, Verdict};
use futures::{StreamExt, stream};
use nightshift_domain as domain;
use nightshift_jobs::StepCx;
use nightshift_metadata::{Described, ListingContext, RawListing, TypeKind, correct_listing, registry};
use nightshift_salesforce::{Blame, Client, ListQuery, Ruled, SalesforceError};
use nightshift_store::staging::Listing;
use tokio::sync::mpsc;

use super::STANDARD_VALUE_SET;
use crate::{context::SyncContext, trouble::Trouble};

/// Entries that wait between the calls and the writer.
const WAITING: usize = 256;

/// What came of listing.
#[derive(Default)]
struct Listed {
    /// Types of which some query failed, with Salesforce's words.
    failed: BTreeMap<String, String>,
    /// Types that went well alone after a common call had failed.
    single: BTreeSet<String>,
    /// Folders: their content's type and full name.
    folders: BTreeSet<(String, String)>,
}

/// Lists every wanted type, its folders and its children; the entries are staged. Effects: what to remember of types.
pub(super) async fn list_all(
    cx: &mut StepCx<'_, SyncContext>,
    client: &Client,
    described: &Described,
    own_namespace: Option<&str>,
    wanted: &[String],
) -> Result<Vec<Effect>, Trouble> {
    let remembered = cx.context.store.types().remembered(cx.org).await?;
    let careful = |type_name: &str| {
        matches!(
            remembered.get(type_name),
            Some(TypeHealth::Single | TypeHealth::Failing)
        )
    };
    let (plain, foldered) = queries(described, wanted);
    let mut listed = Listed::default();
    let context = Naming {
        described,
        own_namespace,
    };
    list(cx, client, &context, plain.clone(), &careful, &mut listed).await?;
    let folders: Vec<ListQuery> = listed
        .folders
        .iter()
        .map(|(type_name, folder)| ListQuery {
            type_name: type_name.clone(),
            folder: Some(folder.clone()),
        })
        .collect();
    list(cx, client, &context, folders, &careful, &mut listed).await?;
    let types: BTreeSet<&str> = plain
        .iter()
        .map(|query| query.type_name.as_str())
        .chain(foldered.iter().map(String::as_str))
        .collect();
    let mut effects = Vec::new();
    for type_name in types {
        let words = listed.failed.get(type_name).or_else(|| {
            // what is in folders is known only as far as the folders are
            listed.failed.get(&described.folder_type(type_name)?)
        });
        conclude(
            cx,
            type_name,
            words,
            &listed,
            remembered.get(type_name),
            &mut effects,
        )
        .await?;
    }
    Ok(effects)
}

/// One type's listing is good or a gap; what it was is remembered for the next nights.
async fn conclude(
    cx: &mut StepCx<'_, SyncContext>,
    type_name: &str,
    failed: Option<&String>,
    listed: &Listed,
    before: Option<&TypeHealth>,
    effects: &mut Vec<Effect>,
) -> Result<(), Trouble> {
    let health = if let Some(words) = failed {
        cx.staging.type_listed(type_name, Listing::Failed).await?;
        let left_out = LeftOut {
            type_name: type_name.to_owned(),
            name: String::new(),
            reason: LeftOutReason::ListingFailed,
            detail: words.clone(),
        };
        cx.staging.left_out(&left_out).await?;
        TypeHealth::Failing
    } else {
        cx.staging.type_listed(type_name, Listing::Good).await?;
        if listed.single.contains(type_name) {
            TypeHealth::Single
        } else {
            TypeHealth::Good
        }
    };
    if health != before.copied().unwrap_or(TypeHealth::Good) {
        effects.push(Effect::TypeHealth {
            type_name: type_name.to_owned(),
            health,
        });
    }
    Ok(())
}

/// Queries without folders (folder types among them), and the types that live in folders.
fn queries(described: &Described, wanted: &[String]) -> (Vec<ListQuery>, Vec<String>) {
    let (mut plain, mut foldered) = (BTreeSet::new(), Vec::new());
    for type_name in wanted.iter().filter(|name| *name != STANDARD_VALUE_SET) {
        match described.folder_type(type_name) {
            Some(folder_type) => {
                plain.insert(folder_type);
                foldered.push(type_name.clone());
            }
            None => {
                plain.insert(type_name.clone());
            }
        }
        let children = described
            .by_name(type_name)
            .into_iter()
            .flat_map(|described| &described.children);
        let known = |child: &&String| {
            registry()
                .by_name(child)
                .is_some_and(|info| info.is_child() && info.parent.is_some())
        };
        plain.extend(children.filter(known).cloned());
    }
    (plain.into_iter().map(ListQuery::of).collect(), foldered)
}

struct Naming<'a> {
    described: &'a Described,
    own_namespace: Option<&'a str>,
}

/// Lists some queries: in threes where all are trusted, singly where one is not, and singly again after a failure.
async fn list(
    cx: &mut StepCx<'_, SyncContext>,
    client: &Client,
    naming: &Naming<'_>,
    queries: Vec<ListQuery>,
    careful: &impl Fn(&str) -> bool,
    listed: &mut Listed,
) -> Result<(), Trouble> {
    let (alone, together): (Vec<_>, Vec<_>) =
        queries.into_iter().partition(|query| careful(&query.type_name));
    let calls: Vec<Vec<ListQuery>> = together
        .chunks(3)
        .map(<[ListQuery]>::to_vec)
        .chain(alone.into_iter().map(|query| vec![query]))
        .collect();
    let failed = call_all(cx, client, naming, calls, listed).await?;
    let mut parted = Vec::new();
    for (queries, error) in failed {
        if queries.len() > 1 {
            must_be_about_a_type(&error)?;
            parted.push(queries);
        } else {
            note_failed(listed, &queries, &error)?;
        }
    }
    let singly = parted.iter().flatten().map(|query| vec![query.clone()]).collect();
    let failed = call_all(cx, client, naming, singly, listed).await?;
    for (queries, error) in failed {
        note_failed(listed, &queries, &error)?;
    }
    // where a culprit was found the others are good company again; where none was, none is trusted together
    for queries in parted {
        let types = queries.into_iter().map(|query| query.type_name);
        let types: Vec<String> = types.collect();
        if !types
            .iter()
            .any(|type_name| listed.failed.contains_key(type_name))
        {
            listed.single.extend(types);
        }
    }
    Ok(())
}

fn note_failed(listed: &mut Listed, queries: &[ListQuery], error: &SalesforceError) -> Result<(), Trouble> {
    must_be_about_a_type(error)?;
    let words: String = error.to_string().chars().take(1_000).collect();
    for query in queries {
        listed.failed.insert(query.type_name.clone(), words.clone());
    }
    Ok(())
}

/// A refusal of one listing leaves a type out; what concerns the whole connection fails the step.
fn must_be_about_a_type(error: &SalesforceError) -> Result<(), Trouble> {
    let ruling = error.ruling();
    let about_a_type = match ruling.ruled {
        Ruled::LeaveOut(_) | Ruled::Split => true,
        Ruled::Step(Verdict::Retry { .. }) => {
            matches!(error, SalesforceError::Refused(_)) && error.blame() == Blame::Nobody
        }
        Ruled::Step(_) => false,
    };
    if about_a_type {
        Ok(())
    } else {
        Err(Trouble::Judged(error.step_error()))
    }
}

/// Makes the calls, some at a time, and stages what they bring; gives back those that failed.
async fn call_all(
    cx: &mut StepCx<'_, SyncContext>,
    client: &Client,
    naming: &Naming<'_>,
    calls: Vec<Vec<ListQuery>>,
    listed: &mut Listed,
) -> Result<Vec<(Vec<ListQuery>, SalesforceError)>, Trouble> {
    let (send, mut entries) = mpsc::channel::<(Vec<String>, RawListing)>(WAITING);
    let at_a_time = cx.context.settings.concurrent_lists.max(1) as usize;
    let listing = async move {
        let calling = calls.into_iter().map(|queries| {
            let send = send.clone();
            async move {
                let answer = call(client, &queries, &send).await;
                answer.err().map(|error| (queries, error))
            }
        });
        let failed: Vec<_> = stream::iter(calling)
            .buffer_unordered(at_a_time)
            .filter_map(std::future::ready)
            .collect()
            .await;
        failed
    };
    let staging = async {
        while let Some((asked, raw)) = entries.recv().await {
            stage_entry(cx, naming, &asked, &raw, listed).await?;
        }
        Ok::<_, Trouble>(())
    };
    let (failed, staged) = tokio::join!(listing, staging);
    staged?;
    Ok(failed)
}

async fn call(
    client: &Client,
    queries: &[ListQuery],
    send: &mpsc::Sender<(Vec<String>, RawListing)>,
) -> Result<(), SalesforceError> {
    let asked: Vec<String> = queries.iter().map(|query| query.type_name.clone()).collect();
    let mut listing = client.list_metadata(queries).await?;
    while let Some(entry) = listing.next().await? {
        let raw = RawListing {
            type_name: entry.type_name,
            full_name: entry.full_name,
            file_name: entry.file_name,
            id: entry.id,
            namespace_prefix: entry.namespace,
            manageable_state: entry.manageable_state,
            last_modified_date: entry.last_modified,
        };
        if send.send((asked.clone(), raw)).await.is_err() {
            break; // the writer failed, and says so itself
        }
    }
    Ok(())
}

async fn stage_entry(
    cx: &mut StepCx<'_, SyncContext>,
    naming: &Naming<'_>,
    asked: &[String],
    raw: &RawListing,
    listed: &mut Listed,
) -> Result<(), Trouble> {
    let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
    let context = ListingContext {
        asked: &asked,
        described: naming.described,
        own_namespace: naming.own_namespace,
    };
    match correct_listing(raw, &context) {
        Ok(entry) => {
            let info = registry().by_name(&entry.key.type_name);
            if let Some(info) = info.filter(|info| info.kind == TypeKind::Folder) {
                let content = info.parent.unwrap_or(info.name).to_owned();
                listed.folders.insert((content, entry.full_name.clone()));
            }
            cx.staging.listed(&entry).await?;
        }
        Err(fault) => cx.staging.left_out(&fault.left_out()).await?,
    }
    Ok(())
}
