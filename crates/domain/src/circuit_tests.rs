//! Properties of the circuit, over any course of events.

use proptest::prelude::*;

use super::*;

const RULES: CircuitRules = CircuitRules {
    failures: 5,
    percent: 50,
    window: Duration::from_secs(60),
    open: Duration::from_secs(30),
    open_max: Duration::from_secs(600),
    probe: Duration::from_secs(120),
    retries_percent: 20,
    retries_min: 3,
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Asks,
    Retries,
    Calls(u64, u64),
    Probe(Sighting),
}

fn events() -> impl Strategy<Value = Vec<(i64, Event)>> {
    let probe = prop_oneof![
        Just(Sighting::ProbeAnswered),
        Just(Sighting::ProbeFailed),
        Just(Sighting::ProbeToldNothing)
    ];
    let event = prop_oneof![
        3 => Just(Event::Asks),
        2 => Just(Event::Retries),
        3 => (0_u64..4, 0_u64..8).prop_map(|(answered, unavailable)| Event::Calls(answered, unavailable)),
        2 => probe.prop_map(Event::Probe),
    ];
    proptest::collection::vec((0_i64..90, event), 0..80)
}

proptest! {
    #[test]
    fn an_open_circuit_lets_nobody_through_and_then_one_alone(events in events()) {
        let (mut now, mut health) = (0, InstanceHealth::unknown(at(0)));
        let mut probe: Option<Timestamp> = None;
        for (pause, event) in events {
            now += pause;
            let before = health;
            match event {
                Event::Asks => {
                    let (permit, after) = health.asks(at(now), &RULES);
                    health = after;
                    match permit {
                        Permit::Go => prop_assert_eq!(before.circuit, Circuit::Closed),
                        Permit::Later(until) => prop_assert!(until > at(now)),
                        Permit::Probe => {
                            prop_assert!(probe.is_none_or(|until| at(now) >= until), "two probe at once");
                            if let Circuit::Open { until, .. } = before.circuit {
                                prop_assert!(at(now) >= until);
                            }
                            probe = Some(at(now) + RULES.probe);
                        }
                    }
                }
                Event::Retries => health = health.asks_retry(at(now), &RULES).1,
                Event::Calls(answered, unavailable) => {
                    health = health.after(Sighting::Calls { answered, unavailable }, at(now), &RULES);
                    if unavailable == 0 {
                        prop_assert_eq!(health.circuit, before.circuit, "answers open nothing");
                    }
                }
                Event::Probe(sighting) => {
                    // told by whoever probes, as long as it is its turn
                    if probe.is_some_and(|until| at(now) < until) {
                        health = health.after(sighting, at(now), &RULES);
                        probe = None;
                    }
                }
            }
            if let Circuit::Open { until, .. } = health.circuit {
                prop_assert!(until <= at(now) + RULES.open_max || before.circuit == health.circuit);
            }
        }
    }

    #[test]
    fn retries_of_a_window_stay_within_their_share(asked in 0_u64..200, answered in 0_u64..500, unavailable in 0_u64..5) {
        let calls = Sighting::Calls { answered, unavailable };
        let mut health = InstanceHealth::unknown(at(0)).after(calls, at(1), &RULES);
        let mut granted = 0;
        for _ in 0..asked {
            let (permit, after) = health.asks_retry(at(2), &RULES);
            granted += u64::from(permit == RetryPermit::Granted);
            health = after;
        }
        prop_assert!(granted <= allowed(answered + unavailable, 20, 3));
        prop_assert_eq!(granted, asked.min(allowed(answered + unavailable, 20, 3)));
        prop_assert_eq!(health.asks_retry(at(60), &RULES).0, RetryPermit::Granted);
    }

    #[test]
    fn it_opens_only_for_enough_failures_and_a_large_enough_share(answered in 0_u64..100, unavailable in 0_u64..100) {
        let calls = Sighting::Calls { answered, unavailable };
        let health = InstanceHealth::unknown(at(0)).after(calls, at(1), &RULES);
        let bad = unavailable >= 5 && unavailable >= answered;
        prop_assert_eq!(health.circuit != Circuit::Closed, bad);
    }
}

#[test]
fn it_is_open_twice_as_long_after_each_failed_probe_and_closed_after_an_answer() {
    let calls = Sighting::Calls {
        answered: 0,
        unavailable: 5,
    };
    let (mut now, mut health) = (at(0), InstanceHealth::unknown(at(0)).after(calls, at(0), &RULES));
    for seconds in [30, 60, 120, 240, 480, 600, 600] {
        let Circuit::Open { until, .. } = health.circuit else {
            panic!("{health:?}")
        };
        assert_eq!(until.duration_since(now).as_secs(), seconds);
        now = until;
        let (permit, probing) = health.asks(now, &RULES);
        assert_eq!(permit, Permit::Probe);
        health = probing.after(Sighting::ProbeFailed, now, &RULES);
    }
    let Circuit::Open { until, .. } = health.circuit else {
        panic!("{health:?}")
    };
    let closed = health
        .asks(until, &RULES)
        .1
        .after(Sighting::ProbeAnswered, until, &RULES);
    assert_eq!(closed, InstanceHealth::unknown(until));
}

#[test]
fn failures_of_an_older_window_do_not_count() {
    let four = Sighting::Calls {
        answered: 0,
        unavailable: 4,
    };
    let health = InstanceHealth::unknown(at(0)).after(four, at(1), &RULES);
    assert_eq!(health.after(four, at(61), &RULES).circuit, Circuit::Closed);
    assert_ne!(health.after(four, at(59), &RULES).circuit, Circuit::Closed);
}
