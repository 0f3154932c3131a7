//! Who plays: twelve orgs of very different sizes in twelve time zones.

/// One org of the demo.
#[derive(Clone, Debug)]
pub struct Actor {
    pub name: &'static str,
    pub zone: &'static str,
    pub size: u64,
    pub part: Part,
}

/// What happens to an org on the way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// Nothing.
    Plain,
    /// A batch of the first night hangs in Salesforce; it heals when it is asked for in halves.
    Hangs,
    /// Its token is revoked before the second night.
    Revoked,
    /// A component of the second night cannot be served.
    Poisoned,
}

/// Name, zone, part, and components of 60,000.
const CAST: [(&str, &str, Part, u64); 12] = [
    ("auckland-dairy", "Pacific/Auckland", Part::Plain, 200),
    ("tokyo-optics", "Asia/Tokyo", Part::Plain, 300),
    ("mumbai-textiles", "Asia/Kolkata", Part::Revoked, 500),
    ("dubai-freight", "Asia/Dubai", Part::Plain, 800),
    ("nairobi-solar", "Africa/Nairobi", Part::Poisoned, 1_200),
    ("berlin-tools", "Europe/Berlin", Part::Plain, 2_000),
    ("london-insurance", "Europe/London", Part::Plain, 3_000),
    ("sao-paulo-retail", "America/Sao_Paulo", Part::Plain, 5_000),
    ("new-york-bank", "America/New_York", Part::Plain, 6_000),
    ("chicago-health", "America/Chicago", Part::Plain, 8_000),
    ("denver-energy", "America/Denver", Part::Hangs, 13_000),
    ("los-angeles-media", "America/Los_Angeles", Part::Plain, 20_000),
];

/// The cast with `components` together.
pub fn cast(components: u64) -> Vec<Actor> {
    // a component that breaks must be among those that change, also in a small demo
    let least = |part| if part == Part::Poisoned { 1_200 } else { 100 };
    CAST.iter()
        .map(|&(name, zone, part, size)| Actor {
            name,
            zone,
            part,
            size: (size * components / 60_000).max(least(part)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_orgs_in_twelve_zones_hold_60_000_components() {
        let cast = cast(60_000);
        let zones: std::collections::BTreeSet<_> = cast.iter().map(|actor| actor.zone).collect();
        assert_eq!((cast.len(), zones.len()), (12, 12));
        assert_eq!(cast.iter().map(|actor| actor.size).sum::<u64>(), 60_000);
        assert_eq!((cast[0].size, cast[11].size), (200, 20_000));
    }
}
