//! Every zone, every night of 2024 to 2040: exactly one run, inside its window, whatever the clocks do.
#![allow(clippy::unwrap_used, reason = "tests say by their names what must hold")]

use std::collections::BTreeMap;

use jiff::{Span, Timestamp, civil::Date, civil::date};
use nightshift_domain::schedule::{
    Days, Firing, LocalMinute, NightRun, Schedule, Window, Zone, plan_firing, zone_names,
};
use proptest::prelude::*;

const FIRST: Date = date(2024, 1, 1);
const LAST: Date = date(2040, 12, 31);

/// One zone for each distinct set of transitions (with its first offset) in the years of the test.
fn distinct_zones() -> Vec<Zone> {
    let from: Timestamp = "2023-12-01T00:00:00Z".parse().unwrap();
    let to: Timestamp = "2041-02-01T00:00:00Z".parse().unwrap();
    let mut seen = BTreeMap::new();
    for name in zone_names() {
        let zone: Zone = name.parse().unwrap();
        let changes: Vec<_> = zone
            .time_zone()
            .following(from)
            .take_while(|change| change.timestamp() < to)
            .map(|change| (change.timestamp(), change.offset()))
            .collect();
        seen.entry((zone.time_zone().to_offset(from), changes))
            .or_insert(zone);
    }
    assert!(seen.len() > 60, "only {} distinct zones", seen.len());
    seen.into_values().collect()
}

fn schedule(zone: &Zone, window: Window, slot: LocalMinute) -> Schedule {
    Schedule::new(zone.clone(), window, slot, Days::ALL).unwrap()
}

/// Slots where clock changes bite, and one that wanders.
fn slots(window: Window, night: i32) -> [LocalMinute; 4] {
    let length = window.length();
    [
        0,
        length - 1,
        u16::try_from(night * 7 % i32::from(length)).unwrap(),
        length / 2,
    ]
    .map(|n| window.minute(n))
}

#[test]
fn every_zone_and_night_has_exactly_one_slot_inside_its_window() {
    for zone in distinct_zones() {
        for window in
            ["21:00-06:00", "00:30-03:10", "02:00-02:30"].map(|text| text.parse::<Window>().unwrap())
        {
            let (mut night, mut n) = (FIRST, 0);
            while night <= LAST {
                let slot = slots(window, n)[usize::try_from(n % 4).unwrap()];
                let run = schedule(&zone, window, slot).night(night).unwrap();
                assert!(
                    run.opens <= run.slot && run.slot < run.closes,
                    "{zone} {window} {slot} {run:?}"
                );
                assert!(
                    run.closes.duration_since(run.opens).as_hours() <= 14,
                    "{zone} {window} {run:?}"
                );
                (night, n) = (night.tomorrow().unwrap(), n + 1);
            }
        }
    }
}

#[test]
fn going_from_run_to_run_visits_each_night_once_and_in_order() {
    for (i, zone) in distinct_zones().into_iter().enumerate() {
        let slot = Window::NIGHT.minute(u16::try_from(i * 37 % 540).unwrap());
        let schedule = schedule(&zone, Window::NIGHT, slot);
        let floor: Timestamp = "2024-01-01T12:00:00Z".parse().unwrap();
        let mut run = schedule.next_run(None, floor).unwrap();
        while run.night <= LAST {
            let next = schedule.next_run(Some(run.night), floor).unwrap();
            assert_eq!(next.night, run.night.tomorrow().unwrap(), "{zone} {slot}");
            assert!(next.slot > run.slot, "{zone} {slot}: {run:?} then {next:?}");
            run = next;
        }
    }
}

#[test]
fn every_minute_of_a_night_whose_clocks_change_lies_in_the_window() {
    for zone in distinct_zones() {
        let from: Timestamp = "2024-01-01T00:00:00Z".parse().unwrap();
        for change in zone.time_zone().following(from).take(6) {
            let about = zone.time_zone().to_datetime(change.timestamp()).date();
            for night in [about.yesterday().unwrap(), about] {
                for n in (0..540).step_by(5) {
                    let slot = Window::NIGHT.minute(n);
                    let run = schedule(&zone, Window::NIGHT, slot).night(night).unwrap();
                    assert!(
                        run.opens <= run.slot && run.slot < run.closes,
                        "{zone} {slot} {run:?}"
                    );
                }
            }
        }
    }
}

fn berlin(slot: &str) -> Schedule {
    schedule(
        &"Europe/Berlin".parse().unwrap(),
        Window::NIGHT,
        slot.parse().unwrap(),
    )
}

#[test]
fn b87_a_time_that_comes_twice_is_meant_once() {
    let run = berlin("02:00").night(date(2023, 10, 28)).unwrap();
    assert_eq!(run.slot.to_string(), "2023-10-29T00:00:00Z");
    let next = berlin("02:00").next_run(Some(run.night), run.slot).unwrap();
    assert_eq!(next.slot.to_string(), "2023-10-30T01:00:00Z");
}

#[test]
fn b89_a_skipped_time_moves_on_by_what_was_skipped() {
    let zone: Zone = "America/New_York".parse().unwrap();
    let run = schedule(&zone, Window::NIGHT, "02:30".parse().unwrap())
        .night(date(2026, 3, 7))
        .unwrap();
    assert_eq!(run.slot.to_string(), "2026-03-08T07:30:00Z", "03:30 in New York");
}

#[test]
fn b91_progress_is_guaranteed_about_a_clock_change() {
    let zone: Zone = "Europe/Brussels".parse().unwrap();
    let mut now: Timestamp = "2023-10-27T12:00:00Z".parse().unwrap();
    let schedule = schedule(&zone, Window::NIGHT, "02:30".parse().unwrap());
    let (floor, mut done, mut fired) = (now, None, 0);
    while now < "2023-10-31T12:00:00Z".parse().unwrap() {
        if let Firing::Fire { run, next, .. } = plan_firing(&schedule, done, floor, now).unwrap() {
            assert!(next.slot > now);
            done = Some(run.night);
            fired += 1;
        }
        now += Span::new().minutes(1);
    }
    assert_eq!(fired, 4);
}

#[test]
fn b93_saving_seconds_before_the_run_keeps_tonights_run() {
    let (done, floor) = (Some(date(2026, 5, 3)), "2026-01-01T00:00:00Z".parse().unwrap());
    let before = berlin("23:40").next_run(done, floor).unwrap();
    let saved = berlin("23:40").next_run(done, floor).unwrap();
    assert_eq!(before, saved);
    assert_eq!(saved.night, date(2026, 5, 4));
}

#[test]
fn b95_a_later_time_is_not_taken_for_a_missed_one() {
    // ran at 01:15 of the night of 3 May; at 10:00 on 4 May the slot is changed
    let (done, floor) = (Some(date(2026, 5, 3)), "2026-01-01T00:00:00Z".parse().unwrap());
    let ten: Timestamp = "2026-05-04T08:00:00Z".parse().unwrap();
    for (slot, wanted) in [
        ("02:15", "2026-05-05T00:15:00Z"),
        ("23:00", "2026-05-04T21:00:00Z"),
    ] {
        let Firing::NotYet { next } = plan_firing(&berlin(slot), done, floor, ten).unwrap() else {
            panic!("{slot} fired at once");
        };
        assert_eq!(next.slot.to_string(), wanted);
    }
}

#[test]
fn a_slot_before_the_connection_is_never_caught_up() {
    let connected: Timestamp = "2026-05-04T22:00:00Z".parse().unwrap(); // midnight in Berlin, inside the window
    let run = berlin("23:00").next_run(None, connected).unwrap();
    assert_eq!(run.night, date(2026, 5, 5));
    let run = berlin("00:00").next_run(None, connected).unwrap();
    assert_eq!(
        run.night,
        date(2026, 5, 5),
        "the first slot lies strictly after the connection"
    );
}

#[test]
fn a_missed_night_is_caught_up_while_its_window_is_open_and_else_recorded() {
    let (done, floor) = (Some(date(2026, 5, 3)), "2026-01-01T00:00:00Z".parse().unwrap());
    let open: Timestamp = "2026-05-05T03:59:00Z".parse().unwrap();
    let over: Timestamp = "2026-05-05T04:00:00Z".parse().unwrap();
    assert!(
        matches!(plan_firing(&berlin("23:00"), done, floor, open), Ok(Firing::Fire { run: NightRun { night, .. }, .. }) if night == date(2026, 5, 4))
    );
    let Ok(Firing::Missed { missed, next }) = plan_firing(&berlin("23:00"), done, floor, over) else {
        panic!("not recorded");
    };
    assert_eq!(
        (missed.len(), missed[0].run.night, next.night),
        (1, date(2026, 5, 4), date(2026, 5, 5))
    );
}

proptest! {
    /// A scheduler that looks at random instants fires or records each night exactly once.
    #[test]
    fn however_often_a_scheduler_looks_each_night_is_done_once(
        steps in proptest::collection::vec(1_i64..3_000, 1..200),
        slot in 0_u16..540,
        zone in prop::sample::select(vec!["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Chatham", "Africa/Casablanca"]),
    ) {
        let schedule = schedule(&zone.parse().unwrap(), Window::NIGHT, Window::NIGHT.minute(slot));
        let floor: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        let (mut now, mut done, mut nights) = (floor, None, Vec::new());
        for minutes in steps {
            now += Span::new().minutes(minutes);
            match plan_firing(&schedule, done, floor, now).unwrap() {
                Firing::NotYet { next } => prop_assert!(next.slot > now),
                Firing::Fire { run, missed, next } => {
                    nights.extend(missed.iter().map(|missed| missed.run.night));
                    nights.push(run.night);
                    prop_assert!(run.slot <= now && now < run.closes);
                    prop_assert!(next.night > run.night);
                    done = Some(run.night);
                }
                Firing::Missed { missed, next } => {
                    nights.extend(missed.iter().map(|missed| missed.run.night));
                    prop_assert!(next.slot > now);
                    done = missed.last().map(|missed| missed.run.night).or(done);
                }
            }
        }
        for pair in nights.windows(2) {
            prop_assert!(pair[1] > pair[0], "{:?}", nights);
        }
    }
}
