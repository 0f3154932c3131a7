//! What a retrieve is asked for, and what of it the org can give.
//!
//! A pure function from the request and the org to a [`Plan`]: whole members, members of which only some children are
//! wanted, and the messages about what is not there. Nothing is read or packed here.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::{
    inventory::{
        Listed, MemberId, Part, is_custom_name,
        layers::{Known, Pick, Snapshot},
    },
    types::{Shape, TypeId},
    xml::Element,
};

/// The types and members of a request, as written.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Asked {
    pub types: Vec<(String, Vec<String>)>,
    /// API version, as written.
    pub version: String,
    /// The client wants no top folder in the zip.
    pub single_package: bool,
}

impl Asked {
    /// Reads a retrieve's body; clients name its only argument differently.
    pub(crate) fn read(body: &Element) -> Option<Self> {
        let request = body.child("retrieveRequest").or_else(|| body.child("request"))?;
        let unpackaged = request.child("unpackaged");
        let types = unpackaged
            .into_iter()
            .flat_map(|unpackaged| unpackaged.all("types"))
            .map(|types| {
                let members = types
                    .all("members")
                    .map(|member| member.text.trim().to_owned())
                    .collect();
                (types.text_of("name").to_owned(), members)
            })
            .collect();
        let version = unpackaged.map_or("", |unpackaged| unpackaged.text_of("version"));
        let version = if version.is_empty() {
            request.text_of("apiVersion")
        } else {
            version
        };
        Some(Self {
            types,
            version: version.to_owned(),
            single_package: request.text_of("singlePackage").eq_ignore_ascii_case("true"),
        })
    }

    /// Whether the request names that member.
    pub(crate) fn names(&self, kind: &str, name: &str) -> bool {
        self.types
            .iter()
            .any(|(asked, members)| asked == kind && members.iter().any(|member| member == name))
    }

    /// Whether the request names any member of that type.
    pub(crate) fn names_type(&self, kind: &str) -> bool {
        self.types
            .iter()
            .any(|(asked, members)| asked == kind && !members.is_empty())
    }
}

/// What of a request can be given.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub items: Vec<(Pick, Part)>,
    /// What package.xml will name, by type.
    pub delivered: BTreeMap<String, Vec<String>>,
    /// About what is not there.
    pub messages: Vec<String>,
    pub files: usize,
}

/// Finds what is asked for. `spoilt` tells members that cannot be loaded, with the message for each.
pub(crate) fn plan(asked: &Asked, snapshot: &Snapshot, spoilt: &HashMap<(String, String), String>) -> Plan {
    let mut plan = Plan::default();
    let mut taken: HashSet<Pick> = HashSet::new();
    let mut parts: HashMap<MemberId, usize> = HashMap::new();
    for (kind, members) in &asked.types {
        if snapshot.knows(kind) != Known::Here {
            plan.messages.push(format!("Entity type: '{kind}' is unknown"));
            continue;
        }
        for member in members {
            if let Some(message) = spoilt.get(&(kind.clone(), member.clone())) {
                plan.messages.push(message.clone());
                continue;
            }
            let found = if member == "*" {
                wildcard(kind, snapshot)
            } else {
                find(kind, member, snapshot)
            };
            if found.is_empty() && member != "*" {
                plan.messages.push(format!(
                    "Entity of type '{kind}' named '{member}' cannot be found"
                ));
            }
            for pick in found.into_iter().filter(|pick| taken.insert(*pick)) {
                plan.take(pick, kind, &mut parts, snapshot);
            }
        }
    }
    plan.files = plan
        .items
        .iter()
        .map(|(pick, _)| snapshot.file_count(*pick))
        .sum();
    plan
}

impl Plan {
    fn take(&mut self, pick: Pick, kind: &str, parts: &mut HashMap<MemberId, usize>, snapshot: &Snapshot) {
        let full_name = snapshot.delivered(pick).full_name;
        self.delivered.entry(kind.to_owned()).or_default().push(full_name);
        match (snapshot.parent(pick), pick) {
            (Some(parent), Pick::Base(child)) => {
                let at = self.place(parent, Part::Children(Vec::new()), parts);
                if let (_, Part::Children(children)) = &mut self.items[at] {
                    children.push(child);
                }
            }
            (_, Pick::Base(member)) => {
                let at = self.place(member, Part::Whole, parts);
                self.items[at].1 = Part::Whole;
            }
            (_, Pick::Extra(_)) => self.items.push((pick, Part::Whole)),
        }
    }
}

impl Plan {
    /// Takes members of a type out again; their names.
    pub(crate) fn remove(
        &mut self,
        kind: &str,
        snapshot: &Snapshot,
        is_it: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        let Some(names) = self.delivered.get_mut(kind) else {
            return Vec::new();
        };
        let (gone, kept) = std::mem::take(names).into_iter().partition(|name| is_it(name));
        *names = kept;
        let of = |listed: &Listed| listed.kind == kind && is_it(&listed.full_name);
        self.items.retain_mut(|(pick, part)| {
            if let Part::Children(children) = part {
                children.retain(|&child| !of(&snapshot.delivered(Pick::Base(child))));
                return !children.is_empty();
            }
            !of(&snapshot.delivered(*pick))
        });
        self.files = self
            .items
            .iter()
            .map(|(pick, _)| snapshot.file_count(*pick))
            .sum();
        gone
    }

    /// The place of a member among the items, new or old: each member comes once.
    fn place(&mut self, member: MemberId, part: Part, parts: &mut HashMap<MemberId, usize>) -> usize {
        *parts.entry(member).or_insert_with(|| {
            self.items.push((Pick::Base(member), part));
            self.items.len() - 1
        })
    }
}

/// A member, or a folder where the type has folders; the Salesforce CLI ends the names of folders with a slash.
fn find(kind: &str, member: &str, snapshot: &Snapshot) -> Vec<Pick> {
    let folder = TypeId::named(kind).and_then(|kind| kind.row().folder_type);
    snapshot
        .find(kind, member)
        .or_else(|| {
            let name = member.strip_suffix('/').unwrap_or(member);
            snapshot.find(folder?.name(), name)
        })
        .into_iter()
        .collect()
}

/// What `*` brings: nothing of foldered types, of value sets and of folders, and no standard object.
fn wildcard(kind: &str, snapshot: &Snapshot) -> Vec<Pick> {
    let row = TypeId::named(kind).map(TypeId::row);
    let without = kind == "StandardValueSet"
        || row.is_some_and(|row| {
            row.folder_type.is_some() || matches!(row.shape, Shape::Folder | Shape::Child)
        });
    if without {
        return Vec::new();
    }
    let custom_only = kind == "CustomObject";
    let all = snapshot.list(kind, None).into_iter();
    all.filter(|pick| !custom_only || is_custom_name(&snapshot.delivered(*pick).full_name))
        .collect()
}
