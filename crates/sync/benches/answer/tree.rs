//! The two trees: 10,000 files each, of 25 MB and of 600 MB (Salesforce's own limit for one retrieve).

use super::{files, noise::Noise};

/// What each kind of file weighs, in bytes, and how many fields an object has.
#[derive(Clone, Copy)]
pub struct Size {
    pub name: &'static str,
    fields: usize,
    profile: usize,
    permission_set: usize,
    layout: usize,
    flow: usize,
    class: usize,
}

pub const SIZES: [Size; 2] = [
    Size {
        name: "small",
        fields: 7,
        profile: 10_000,
        permission_set: 4_500,
        layout: 1_700,
        flow: 2_700,
        class: 2_200,
    },
    Size {
        name: "big",
        fields: 154,
        profile: 1_000_000,
        permission_set: 250_000,
        layout: 40_000,
        flow: 80_000,
        class: 24_000,
    },
];

/// One file of a tree. `type_name` and `full_name` are its member's; a meta file has its member's too.
pub struct File {
    pub path: String,
    pub type_name: &'static str,
    pub full_name: String,
    pub bytes: Vec<u8>,
}

impl File {
    /// Whether it is XML that the dictionary reads by its type's rules.
    pub fn is_parsed(&self) -> bool {
        self.type_name != "ApexClass"
    }

    /// Whether it is XML at all.
    pub fn is_xml(&self) -> bool {
        self.is_parsed() || self.path.ends_with("-meta.xml")
    }
}

impl Size {
    /// Every file but the manifest, in the order of a zip, one at a time: the tree is never whole in memory.
    pub fn files(self) -> impl Iterator<Item = File> {
        let of =
            move |count: u64, type_name, folder, suffix, make: fn(&mut Noise, &Size, &str) -> Vec<u8>| {
                (0..count).map(move |n| {
                    let mut noise = Noise::new(n << 8 | type_number(type_name));
                    let custom = if type_name == "CustomObject" { "__c" } else { "" };
                    let full_name = format!("{}{custom}", noise.nth_name(n as usize));
                    File {
                        path: format!("{folder}/{full_name}.{suffix}"),
                        type_name,
                        bytes: make(&mut noise, &self, &full_name),
                        full_name,
                    }
                })
            };
        let classes = of(2_000, "ApexClass", "classes", "cls", |noise, size, name| {
            files::class(noise, name, size.class)
        });
        let with_meta = classes.flat_map(|class| {
            let meta = File {
                path: format!("{}-meta.xml", class.path),
                type_name: class.type_name,
                full_name: class.full_name.clone(),
                bytes: files::class_meta(),
            };
            [class, meta]
        });
        with_meta
            .chain(of(
                1_200,
                "CustomObject",
                "objects",
                "object",
                |noise, size, _| files::object(noise, size.fields),
            ))
            .chain(of(150, "Profile", "profiles", "profile", |noise, size, _| {
                files::rights("Profile", noise, size.profile)
            }))
            .chain(of(
                350,
                "PermissionSet",
                "permissionsets",
                "permissionset",
                |noise, size, _| files::rights("PermissionSet", noise, size.permission_set),
            ))
            .chain(of(3_000, "Layout", "layouts", "layout", |noise, size, _| {
                files::layout(noise, size.layout)
            }))
            .chain(of(1_300, "Flow", "flows", "flow", |noise, size, _| {
                files::flow(noise, size.flow)
            }))
    }
}

/// So that two types draw different numbers.
fn type_number(type_name: &str) -> u64 {
    type_name.bytes().map(u64::from).sum::<u64>() & 0xff
}
