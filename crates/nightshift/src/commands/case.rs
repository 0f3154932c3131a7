//! `case list` and `case show`.

use std::process::ExitCode;

use nightshift_store::cases::CaseRow;
use serde_json::{Value, json};

use super::{first_step, id, time};
use crate::{cli::CaseCommand, config::Settings, error::CommandError, output, wiring};

/// Reads support cases.
pub async fn case(settings: &Settings, command: CaseCommand) -> Result<ExitCode, CommandError> {
    let store = wiring::store(settings).await?;
    match command {
        CaseCommand::List { org, json } => {
            let org = match org {
                Some(name) => Some(store.orgs().find(&name).await?.id),
                None => None,
            };
            let cases = store.cases().list(org).await?;
            if json.json {
                output::json(&cases.iter().map(summary).collect());
            } else {
                list(&cases);
            }
        }
        CaseCommand::Show { id: text, json } => {
            let case = store.cases().show(id("case", &text)?).await?;
            if json.json {
                output::json(&whole(&case));
            } else {
                show(&case);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A case as `case list --json` gives it.
pub fn summary(case: &CaseRow) -> Value {
    json!({
        "id": case.id.to_string(),
        "org": case.org_name,
        "code": case.code.as_str(),
        "state": case.state,
        "occurrences": case.occurrences,
        "opened_at": case.opened_at.to_string(),
        "first_step": first_step(case.code),
    })
}

fn whole(case: &CaseRow) -> Value {
    let entry = case.code.entry();
    let mut document = summary(case);
    document["title"] = json!(entry.title);
    document["heals"] = json!(entry.heals);
    document["who_acts"] = json!(entry.who_acts);
    document["steps"] = json!(entry.support);
    document["customer"] = json!(entry.customer);
    document["message"] = json!(case.message);
    document["evidence"] = json!(case.evidence);
    document["sync"] = json!(case.sync.map(|sync| sync.to_string()));
    document["last_occurred_at"] = json!(case.last_occurred_at.to_string());
    document["resolved_at"] = json!(case.resolved_at.map(|at| at.to_string()));
    document
}

fn list(cases: &[CaseRow]) {
    if cases.is_empty() {
        eprintln!("no cases");
        return;
    }
    let rows: Vec<_> = cases
        .iter()
        .map(|case| {
            vec![
                case.id.to_string(),
                case.org_name.clone(),
                case.code.to_string(),
                case.state.clone(),
                case.occurrences.to_string(),
                time(case.opened_at),
                first_step(case.code).to_owned(),
            ]
        })
        .collect();
    output::table(
        &["case", "org", "code", "state", "times", "opened", "first step"],
        &rows,
    );
}

fn show(case: &CaseRow) {
    let entry = case.code.entry();
    output::line(&format!("{} {} ({})", case.code, entry.title, case.state));
    output::line(&format!(
        "org {}, {} time(s) since {}, last {}",
        case.org_name,
        case.occurrences,
        time(case.opened_at),
        time(case.last_occurred_at)
    ));
    output::line(&format!("\n{}", case.message));
    for (key, value) in &case.evidence {
        output::line(&format!("  {key}: {value}"));
    }
    output::line("\nSteps:");
    for (n, step) in entry.support.iter().enumerate() {
        output::line(&format!("  {}. {step}", n + 1));
    }
    output::line(&format!("\nFor the customer:\n  {}", entry.customer));
}
