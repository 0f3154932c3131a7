//! What a check found, as people and programs read it.

use serde_json::{Value, json};

use crate::output;

/// One check's result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// Of what.
    pub thing: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was seen.
    pub saw: String,
    /// Why it matters; one sentence for each thing.
    pub why: &'static str,
    /// What to do; empty when nothing is to be done.
    pub remedy: String,
}

/// How a thing is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Something is broken: exit code 1.
    Bad,
    /// Not good, but nothing breaks.
    Note,
}

impl Verdict {
    /// The text form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Bad => "failed",
            Self::Note => "note",
        }
    }
}

/// A thing that is looked at, with why it matters.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// Its name.
    pub thing: &'static str,
    /// Why.
    pub why: &'static str,
}

impl Check {
    /// As it should be.
    pub fn good(self, saw: impl Into<String>) -> Finding {
        self.found(Verdict::Good, saw.into(), String::new())
    }

    /// Not good, but nothing breaks.
    pub fn note(self, saw: impl Into<String>, remedy: impl Into<String>) -> Finding {
        self.found(Verdict::Note, saw.into(), remedy.into())
    }

    /// Broken.
    pub fn bad(self, saw: impl Into<String>, remedy: impl Into<String>) -> Finding {
        self.found(Verdict::Bad, saw.into(), remedy.into())
    }

    fn found(self, verdict: Verdict, saw: String, remedy: String) -> Finding {
        Finding {
            thing: self.thing,
            verdict,
            saw,
            why: self.why,
            remedy,
        }
    }
}

/// One document of all.
pub fn document(findings: &[Finding]) -> Value {
    let one = |found: &Finding| {
        json!({
            "check": found.thing, "verdict": found.verdict.as_str(), "saw": found.saw, "why": found.why,
            "remedy": found.remedy,
        })
    };
    json!({ "checks": findings.iter().map(one).collect::<Vec<_>>() })
}

/// Lines: what is well in one, what is not with its reason and what to do.
pub fn print(findings: &[Finding]) {
    for found in findings {
        output::line(&format!(
            "{:<6} {:<13} {}",
            found.verdict.as_str(),
            found.thing,
            found.saw
        ));
        if found.verdict != Verdict::Good {
            output::line(&format!("{:20} why: {}", "", found.why));
            output::line(&format!("{:20} do: {}", "", found.remedy));
        }
    }
}
