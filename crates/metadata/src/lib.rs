//! What Salesforce's metadata is: its types, where their files lie, and which differences are changes.
//!
//! Pure functions over bytes and names: the registry of types, the correction of listings, the way from a path to a
//! component, the canonical form and its hashes, the assembly of members from files. Nothing here knows of a network,
//! a database or a zip; what is asked for is planned by `sync`.

mod assemble;
mod canonical;
mod described;
mod error;
mod limits;
mod listing;
mod merge;
mod messages;
mod naming;
mod parse;
mod registry;
mod standard_value_sets;
mod tokens;

pub use assemble::{Assembled, Assembler, Member, Taken, Unreadable};
pub use canonical::{KEY_ELEMENTS, Rules, Scratch, canonical_form};
pub use described::{Described, DescribedType, request_type};
pub use error::MetadataError;
pub use limits::{NAME_BYTES, TYPE_NAME_BYTES, XmlLimits};
pub use listing::{ListingContext, ListingFault, RawListing, Seen, correct_listing, real_date};
pub use merge::merge;
pub use messages::{LeftOutGroup, Told, grouped, read_message};
pub use naming::{Named, Role, below_unpackaged, folder_of, name_of, path_of};
pub use parse::{Child, ParsedFile, parse_file, parse_with};
pub use registry::{
    ChildInfo, Dated, KeyedElement, Order, Registry, Retrieved, TypeInfo, TypeKind, registry,
};
pub use standard_value_sets::standard_value_sets;
