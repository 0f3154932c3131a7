//! Writes the XML of generated files.

use crate::{mix::Numbers, xml::escape};

const TALK: &[&str] = &[
    "approval", "balance", "before", "check", "customer", "date", "each", "entered", "field", "from",
    "manager", "month", "must", "night", "only", "open", "owner", "quarter", "record", "region", "required",
    "review", "rule", "sales", "same", "sent", "stage", "team", "total", "until", "value", "when", "with",
    "year",
];

/// An XML document that is being written.
pub(crate) struct Markup {
    out: String,
    open: Vec<String>,
}

impl Markup {
    /// Begins a metadata document with its root.
    pub(crate) fn document(root: &str) -> Self {
        let out = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} xmlns=\"http://soap.sforce.com/2006/04/metadata\">\n"
        );
        Self {
            out,
            open: vec![root.to_owned()],
        }
    }

    fn indent(&mut self) {
        for _ in 0..self.open.len() {
            self.out.push_str("    ");
        }
    }

    pub(crate) fn leaf(&mut self, name: &str, text: &str) -> &mut Self {
        self.indent();
        for part in ["<", name, ">", &escape(text), "</", name, ">\n"] {
            self.out.push_str(part);
        }
        self
    }

    pub(crate) fn open(&mut self, name: &str) -> &mut Self {
        self.indent();
        for part in ["<", name, ">\n"] {
            self.out.push_str(part);
        }
        self.open.push(name.to_owned());
        self
    }

    pub(crate) fn close(&mut self) -> &mut Self {
        if let Some(name) = self.open.pop() {
            self.indent();
            for part in ["</", &name, ">\n"] {
                self.out.push_str(part);
            }
        }
        self
    }

    /// One element that holds leaves.
    pub(crate) fn group(&mut self, name: &str, leaves: &[(&str, &str)]) -> &mut Self {
        self.open(name);
        for (leaf, text) in leaves {
            self.leaf(leaf, text);
        }
        self.close()
    }

    /// Adds harmless groups until the document weighs at least so many bytes.
    pub(crate) fn fill(&mut self, bytes: usize, numbers: &mut Numbers) {
        let mut groups = 0;
        while self.out.len() < bytes {
            let name = format!("remark_{groups}");
            let text = talk(numbers, 120);
            self.group(
                "remarks",
                &[("name", &name), ("text", &text), ("visible", "true")],
            );
            groups += 1;
        }
    }

    /// Closes what is open and gives the bytes.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        while !self.open.is_empty() {
            self.close();
        }
        self.out.into_bytes()
    }
}

/// About `bytes` of harmless sentences, with an ampersand and a quote now and then.
pub(crate) fn talk(numbers: &mut Numbers, bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 16);
    while text.len() < bytes {
        text.push_str(numbers.one_of(TALK));
        text.push_str(match numbers.below(12) {
            0 => ". ",
            1 => ", ",
            2 if text.len().is_multiple_of(5) => " & ",
            3 if text.len().is_multiple_of(7) => " \"ok\" ",
            _ => " ",
        });
    }
    text.truncate(text.trim_end().len());
    text
}
