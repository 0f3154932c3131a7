//! `dictionary export`, `show`, `diff`.

use std::process::ExitCode;

use nightshift_domain::{component::ChangeKind, ids::OrgId};
use nightshift_store::{
    Store, StoreError,
    dictionary::{Change, ExportRow},
    orgs::OrgRow,
};
use serde_json::{Value, json};

use crate::{
    cli::{DictionaryCommand, ExportFormat},
    config::Settings,
    error::CommandError,
    output, wiring,
};

/// Reads an org's dictionary.
pub async fn dictionary(settings: &Settings, command: DictionaryCommand) -> Result<ExitCode, CommandError> {
    let store = wiring::store(settings).await?;
    match command {
        DictionaryCommand::Export {
            name,
            revision,
            format: ExportFormat::Jsonl,
        } => {
            let org = store.orgs().find(&name).await?;
            let revision = revision_of(&store, &org, revision).await?;
            export(&store, org.id, revision).await?;
        }
        DictionaryCommand::Show {
            name,
            type_name,
            full_name,
            file,
        } => {
            let org = store.orgs().find(&name).await?;
            let bytes = store
                .dictionary()
                .file(org.id, &type_name, &full_name, file.as_deref())
                .await?;
            output::bytes(&bytes);
        }
        DictionaryCommand::Diff { name, from, to, json } => {
            let org = store.orgs().find(&name).await?;
            let from = revision_of(&store, &org, Some(from)).await?;
            let to = revision_of(&store, &org, Some(to)).await?;
            let changes = store.dictionary().diff(org.id, from, to).await?;
            if json.json {
                output::json(&changes.iter().map(change).collect());
            } else {
                for change in &changes {
                    output::line(&text(change));
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn revision_of(store: &Store, org: &OrgRow, wanted: Option<i64>) -> Result<i64, CommandError> {
    let newest = org.revision.ok_or_else(|| StoreError::NotFound {
        thing: "revision of org",
        name: format!("{}, which has not been synced yet", org.name),
    })?;
    let revision = wanted.unwrap_or(newest);
    if store.dictionary().has_revision(org.id, revision).await? {
        return Ok(revision);
    }
    let name = format!("{revision} of org {}; its newest is {newest}", org.name);
    Err(StoreError::NotFound {
        thing: "revision",
        name,
    }
    .into())
}

/// Page by page, so that an org of any size takes the memory of one page.
async fn export(store: &Store, org: OrgId, revision: i64) -> Result<(), CommandError> {
    let mut after = None;
    loop {
        let page = store.dictionary().export(org, revision, after.as_ref()).await?;
        let Some(last) = page.last() else { return Ok(()) };
        let mut text = String::new();
        for row in &page {
            text.push_str(&line(row).to_string());
            text.push('\n');
        }
        output::bytes(text.as_bytes());
        after = Some(last.key.clone());
    }
}

fn line(row: &ExportRow) -> Value {
    json!({
        "type": row.key.type_name,
        "full_name": row.full_name,
        "file_name": row.file_name,
        "parent": row.parent,
        "namespace": row.namespace,
        "content_hash": hex(&row.content_hash),
        "last_modified_date": row.last_modified.map(|at| at.to_string()),
    })
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn word(change: ChangeKind) -> &'static str {
    match change {
        ChangeKind::Added => "added",
        ChangeKind::Changed => "changed",
        ChangeKind::Deleted => "deleted",
    }
}

fn change(change: &Change) -> Value {
    json!({ "type": change.type_name, "full_name": change.full_name, "change": word(change.change) })
}

fn text(change: &Change) -> String {
    format!(
        "{:<8} {} {}",
        word(change.change),
        change.type_name,
        change.full_name
    )
}
