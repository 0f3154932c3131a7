//! Numbers and words that depend on nothing but their seed, and XML made of them.

use std::fmt::Write as _;

const WORDS: &[&str] = &[
    "Account",
    "Active",
    "Address",
    "Amount",
    "Approval",
    "Asset",
    "Balance",
    "Billing",
    "Branch",
    "Budget",
    "Campaign",
    "Case",
    "Category",
    "City",
    "Claim",
    "Code",
    "Contact",
    "Contract",
    "Country",
    "Credit",
    "Currency",
    "Customer",
    "Date",
    "Delivery",
    "Discount",
    "Document",
    "Due",
    "Email",
    "Employee",
    "Entry",
    "Event",
    "External",
    "Family",
    "Feedback",
    "Fiscal",
    "Forecast",
    "Gift",
    "Group",
    "Household",
    "Income",
    "Industry",
    "Invoice",
    "Item",
    "Lead",
    "Level",
    "Limit",
    "Line",
    "Location",
    "Manager",
    "Margin",
    "Member",
    "Month",
    "Name",
    "Next",
    "Number",
    "Offer",
    "Opening",
    "Order",
    "Owner",
    "Partner",
    "Payment",
    "Period",
    "Phone",
    "Plan",
    "Policy",
    "Price",
    "Priority",
    "Product",
    "Profile",
    "Project",
    "Quantity",
    "Quarter",
    "Quote",
    "Rate",
    "Reason",
    "Record",
    "Region",
    "Renewal",
    "Report",
    "Request",
    "Review",
    "Risk",
    "Role",
    "Sales",
    "Score",
    "Segment",
    "Service",
    "Shipping",
    "Stage",
    "Start",
    "Status",
    "Stock",
    "Street",
    "Target",
    "Task",
    "Team",
    "Term",
    "Territory",
    "Total",
    "Type",
    "Unit",
    "Value",
    "Vendor",
    "Volume",
];

/// A stream of numbers from one seed (splitmix64).
pub struct Noise(u64);

impl Noise {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    pub fn word(&mut self) -> &'static str {
        WORDS[self.below(WORDS.len())]
    }

    /// `Some_Name_17__c`, out of about a million.
    pub fn custom_name(&mut self) -> String {
        format!("{}_{}_{}__c", self.word(), self.word(), self.below(100))
    }

    /// An entry of a sorted list: the n-th, with something random behind.
    pub fn nth_name(&mut self, n: usize) -> String {
        format!("{}{}_{n:05}", self.word(), self.word())
    }

    pub fn yes(&mut self) -> &'static str {
        if self.below(2) == 0 { "true" } else { "false" }
    }

    pub fn sentence(&mut self, words: usize) -> String {
        let mut text = String::new();
        for n in 0..words {
            let word = self.word();
            let gap = match self.below(40) {
                _ if n == 0 => "",
                0 => " &amp; ",
                1 => " &quot;",
                2 => ", ",
                _ => " ",
            };
            text.push_str(gap);
            text.push_str(word);
        }
        text
    }
}

/// An XML document as Salesforce writes one: four spaces a level, one leaf a line.
pub struct Xml {
    pub text: String,
    open: Vec<&'static str>,
}

impl Xml {
    pub fn new(root: &'static str) -> Self {
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} xmlns=\"http://soap.sforce.com/2006/04/metadata\">\n"
        );
        Self {
            text,
            open: vec![root],
        }
    }

    fn indent(&mut self) {
        for _ in 0..self.open.len() {
            self.text.push_str("    ");
        }
    }

    pub fn leaf(&mut self, name: &str, value: &str) -> &mut Self {
        self.indent();
        writeln!(self.text, "<{name}>{value}</{name}>").unwrap();
        self
    }

    pub fn open(&mut self, name: &'static str) -> &mut Self {
        self.indent();
        writeln!(self.text, "<{name}>").unwrap();
        self.open.push(name);
        self
    }

    pub fn close(&mut self) -> &mut Self {
        let name = self.open.pop().unwrap();
        self.indent();
        writeln!(self.text, "</{name}>").unwrap();
        self
    }

    pub fn group(&mut self, name: &'static str, leaves: &[(&str, &str)]) -> &mut Self {
        self.open(name);
        for (leaf, value) in leaves {
            self.leaf(leaf, value);
        }
        self.close()
    }

    pub fn finish(mut self) -> Vec<u8> {
        while !self.open.is_empty() {
            self.close();
        }
        self.text.into_bytes()
    }
}
