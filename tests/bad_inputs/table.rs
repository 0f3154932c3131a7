//! Reads the table of bad inputs.

/// Whose door an input is given to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Zip,
    Xml,
    Http,
    Message,
    Configuration,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::Zip,
        Self::Xml,
        Self::Http,
        Self::Message,
        Self::Configuration,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Self::Zip => "zip",
            Self::Xml => "xml",
            Self::Http => "http",
            Self::Message => "message",
            Self::Configuration => "configuration",
        }
    }
}

/// One bad input.
#[derive(Clone, Debug)]
pub struct Row {
    pub kind: Kind,
    pub name: String,
    /// The failure code, or the error's name where no sync fails of it.
    pub code: String,
    /// Parts of the text that people read: the thing, the place, the remedy.
    pub says: Vec<String>,
}

/// All rows; names are unique.
pub fn rows() -> Vec<Row> {
    let rows: Vec<Row> = include_str!("table.tsv")
        .lines()
        .skip(1)
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            let [kind, name, code, says] = fields[..] else {
                panic!("four fields, not {line:?}")
            };
            Row {
                kind: *Kind::ALL.iter().find(|known| known.word() == kind).unwrap(),
                name: name.to_owned(),
                code: code.to_owned(),
                says: says
                    .split(" & ")
                    .filter(|part| !part.is_empty())
                    .map(str::to_owned)
                    .collect(),
            }
        })
        .collect();
    for (at, row) in rows.iter().enumerate() {
        assert!(
            rows[..at].iter().all(|other| other.name != row.name),
            "{} stands there twice",
            row.name
        );
    }
    rows
}
