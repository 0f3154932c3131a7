//! The descriptor that follows a member's data when its header did not know the sizes (B35, B37, B39).
//!
//! It has four forms: with and without signature, with sizes of four bytes and of eight (zip64), and nothing says which
//! one was written. But deflate finds its own end, so all values are known: a form is right when it holds exactly these
//! values and a record begins after it.

use crate::{
    error::{Damage, Measure},
    record::{CENTRAL, DESCRIPTOR, LOCAL, u32_at},
};

/// Bytes to look at: the longest form and the signature after it.
pub(crate) const LOOK_AHEAD: usize = 24 + 4;

/// What a member's data really was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Measured {
    pub(crate) crc: u32,
    pub(crate) packed: u64,
    pub(crate) unpacked: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Descriptor {
    /// It states what was measured, in so many bytes.
    Agrees { length: usize },
    /// The source ended before it did.
    Unfinished,
    /// It states something else.
    Differs(Damage),
}

/// Reads the descriptor at the start of `ahead`: [`LOOK_AHEAD`] bytes, or fewer when the source ended.
pub(crate) fn find(ahead: &[u8], measured: &Measured) -> Descriptor {
    let mut alone = None;
    let mut unfinished = false;
    for form in forms(measured) {
        if let Some(rest) = ahead.strip_prefix(form.as_slice()) {
            if rest.len() >= 4 && matches!(u32_at(rest, 0), LOCAL | CENTRAL) {
                return Descriptor::Agrees { length: form.len() };
            }
            unfinished |= rest.len() < 4;
            // what follows is damaged, which whoever reads it will say
            alone = alone.or(Some(form.len()));
        } else {
            unfinished |= form.starts_with(ahead);
        }
    }
    if unfinished {
        return Descriptor::Unfinished;
    }
    alone.map_or_else(
        || difference(ahead, measured),
        |length| Descriptor::Agrees { length },
    )
}

/// The forms that can state `measured`, the longest first: a short one may be the start of a long one.
fn forms(measured: &Measured) -> Vec<Vec<u8>> {
    let small = u32::try_from(measured.packed)
        .ok()
        .zip(u32::try_from(measured.unpacked).ok());
    let wide = [measured.packed.to_le_bytes(), measured.unpacked.to_le_bytes()].concat();
    let narrow = small.map(|(packed, unpacked)| [packed.to_le_bytes(), unpacked.to_le_bytes()].concat());
    let mut forms = Vec::with_capacity(4);
    for sizes in [Some(wide), narrow].into_iter().flatten() {
        for signature in [&DESCRIPTOR.to_le_bytes()[..], &[]] {
            forms.push([signature, &measured.crc.to_le_bytes(), &sizes].concat());
        }
    }
    forms
}

/// Names the first value that differs, in the form that is most usual.
fn difference(ahead: &[u8], measured: &Measured) -> Descriptor {
    let fields = ahead.strip_prefix(&DESCRIPTOR.to_le_bytes()[..]).unwrap_or(ahead);
    if fields.len() < 12 {
        return Descriptor::Unfinished;
    }
    let (crc, packed, unpacked) = (
        u32_at(fields, 0),
        u64::from(u32_at(fields, 4)),
        u64::from(u32_at(fields, 8)),
    );
    Descriptor::Differs(if crc != measured.crc {
        Damage::Crc {
            stated: crc,
            found: measured.crc,
        }
    } else if packed != measured.packed {
        Damage::Size {
            measure: Measure::Packed,
            stated: packed,
            found: measured.packed,
        }
    } else {
        Damage::Size {
            measure: Measure::Unpacked,
            stated: unpacked,
            found: measured.unpacked,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEASURED: Measured = Measured {
        crc: 0x1234_5678,
        packed: 40,
        unpacked: 100,
    };

    #[test]
    fn b39_each_of_the_four_forms_is_found_before_each_record() {
        for next in [LOCAL, CENTRAL] {
            for form in forms(&MEASURED) {
                let ahead = [form.clone(), next.to_le_bytes().to_vec(), vec![7; 20]].concat();
                assert_eq!(
                    find(&ahead[..LOOK_AHEAD], &MEASURED),
                    Descriptor::Agrees { length: form.len() }
                );
            }
        }
    }

    #[test]
    fn a_crc_that_looks_like_the_signature_is_still_a_crc() {
        for measured in [
            Measured {
                crc: DESCRIPTOR,
                ..MEASURED
            },
            Measured {
                crc: DESCRIPTOR,
                packed: u64::from(DESCRIPTOR),
                unpacked: u64::from(DESCRIPTOR),
            },
            Measured {
                crc: 0,
                packed: 2,
                unpacked: 0,
            },
            Measured {
                crc: 0,
                packed: 0,
                unpacked: 0,
            },
        ] {
            for form in forms(&measured) {
                let ahead = [form.clone(), LOCAL.to_le_bytes().to_vec(), vec![7; 20]].concat();
                assert_eq!(
                    find(&ahead[..LOOK_AHEAD], &measured),
                    Descriptor::Agrees { length: form.len() }
                );
            }
        }
    }

    #[test]
    fn each_part_of_a_descriptor_is_unfinished() {
        for form in forms(&MEASURED) {
            for length in 0..form.len() + 4 {
                let ahead = [form.clone(), CENTRAL.to_le_bytes().to_vec()].concat();
                assert_eq!(
                    find(&ahead[..length], &MEASURED),
                    Descriptor::Unfinished,
                    "{length} of {form:?}"
                );
            }
        }
    }

    #[test]
    fn a_wrong_value_is_named() {
        let other = Measured { crc: 1, ..MEASURED };
        let ahead = [forms(&other)[0].clone(), CENTRAL.to_le_bytes().to_vec()].concat();
        let damage = Damage::Crc {
            stated: 1,
            found: MEASURED.crc,
        };
        assert_eq!(find(&ahead, &MEASURED), Descriptor::Differs(damage));
    }
}
