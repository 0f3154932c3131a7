//! `calls`: the ledger of API calls.

use std::process::ExitCode;

use nightshift_store::ledger::{LedgerFilter, LedgerRow};
use serde_json::{Value, json};

use crate::{cli::CallsArgs, config::Settings, error::CommandError, output, wiring};

/// Reads the ledger.
pub async fn calls(settings: &Settings, args: CallsArgs) -> Result<ExitCode, CommandError> {
    let store = wiring::store(settings).await?;
    let org = match args.org {
        Some(name) => Some(store.orgs().find(&name).await?.id),
        None => None,
    };
    let filter = LedgerFilter {
        org,
        night: args.night,
        limit: args.limit,
    };
    let rows = store.ledger().list(filter).await?;
    if args.json.json {
        output::json(&rows.iter().map(document).collect());
    } else {
        table(&rows);
    }
    Ok(ExitCode::SUCCESS)
}

fn document(row: &LedgerRow) -> Value {
    json!({
        "org": row.org,
        "night": row.night.to_string(),
        "step": row.step,
        "kind": row.kind,
        "calls": row.calls,
    })
}

fn table(rows: &[LedgerRow]) {
    let cells: Vec<_> = rows
        .iter()
        .map(|row| {
            vec![
                row.org.clone(),
                row.night.to_string(),
                row.step.clone(),
                row.kind.clone(),
                row.calls.to_string(),
            ]
        })
        .collect();
    output::table(&["org", "night", "step", "kind", "calls"], &cells);
}
