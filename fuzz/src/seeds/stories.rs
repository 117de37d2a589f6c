//! Seeds of the workflow: the attacks of the specification's section 1.5.2 and the recoveries of 6, told in
//! the verbs of [`crate::workflow::story`].

use super::Named;
use crate::workflow::story::{
    ADD_KEY, BINS, CONSISTENT, DAMAGE, DAY, DELEGATE, DROP_KEY, HEAL, PUBLISH, RECOVER, SERVE, STEAL, TARGET,
    THRESHOLD, UPDATE,
};

type Record = [u8; 4];

/// The numbers of roles and paths, as the verbs count them.
const TOP: [u8; 4] = [0, 1, 2, 3];
const DEV: u8 = 4;
const UP: u8 = 5;
const APP_A: u8 = 0;

const LIST: Record = [TARGET, 3, APP_A, 7];
const OUT: Record = [PUBLISH, 0, 0, 0];
const ALL: Record = [PUBLISH, 0x0f, 0, 0];
const LOOK: Record = [UPDATE, APP_A, 0, 0];
const LOOK_OFFLINE: Record = [UPDATE, APP_A, 0, 1];
const WELL: Record = [HEAL, 0, 0, 0];

const fn serve(role: u8, kind: u8, detail: u8) -> Record {
    [SERVE, role, kind, detail]
}

pub(super) fn all() -> Named {
    let mut stories = vec![
        ("good-first-use".to_owned(), [LIST, OUT, LOOK].concat()),
        ("good-quiet-day".to_owned(), [LIST, OUT, LOOK, LOOK, LOOK_OFFLINE].concat()),
        ("good-new-release".to_owned(), [LIST, OUT, LOOK, [TARGET, 3, APP_A, 8], OUT, LOOK].concat()),
        ("good-consistent-off".to_owned(), [[CONSISTENT, 0, 0, 0], LIST, OUT, LOOK].concat()),
        ("good-compact".to_owned(), [LIST, [PUBLISH, 0x0f, 2, 0], LOOK, LOOK, LOOK_OFFLINE].concat()),
        (
            "good-compact-at-last".to_owned(),
            [LIST, OUT, LOOK, [PUBLISH, 0x0f, 2, 0], LOOK, ALL, LOOK].concat(),
        ),
        ("good-without-hashes".to_owned(), [LIST, [PUBLISH, 0x0f, 1, 0], LOOK].concat()),
        ("bad-nothing-listed".to_owned(), [OUT, LOOK].concat()),
        ("bad-frozen".to_owned(), [LIST, OUT, LOOK, [DAY, 20, 0, 0], LOOK, LOOK_OFFLINE].concat()),
        ("good-thawed".to_owned(), [LIST, OUT, LOOK, [DAY, 20, 0, 0], LOOK, ALL, LOOK].concat()),
        ("good-clock-set-back".to_owned(), [LIST, [DAY, 30, 0, 0], ALL, LOOK, [DAY, 2, 0, 0], LOOK].concat()),
        ("good-expired-root-renewed".to_owned(), [LIST, OUT, LOOK, [DAY, 50, 0, 0], ALL, LOOK].concat()),
        (
            "bad-stolen-fast-forward".to_owned(),
            [LIST, OUT, LOOK, [STEAL, 0x7f, 0x7e, 0], LOOK, WELL, LOOK].concat(),
        ),
        (
            "good-stolen-recovered".to_owned(),
            [LIST, OUT, LOOK, [STEAL, 0x7f, 0x7e, 0], LOOK, WELL, [RECOVER, 0, 0, 0], LOOK].concat(),
        ),
        ("bad-stolen-rollback".to_owned(), [LIST, OUT, ALL, ALL, LOOK, [STEAL, 1, 1, 0x42], LOOK].concat()),
        (
            "bad-stolen-file-away".to_owned(),
            [LIST, [DELEGATE, 3, DEV, 1], OUT, LOOK, [STEAL, 1, 1, 0x80], LOOK].concat(),
        ),
        ("bad-stolen-expired".to_owned(), [LIST, OUT, [STEAL, 1, 0x81, 0], LOOK].concat()),
        (
            "good-cut-off-then-whole".to_owned(),
            (1..9)
                .flat_map(|cut| [ALL, [UPDATE, APP_A, cut, 0]])
                .chain([LIST, OUT, LOOK])
                .flatten()
                .collect(),
        ),
        (
            "good-cut-off-in-a-rotation".to_owned(),
            [
                LIST,
                OUT,
                LOOK,
                [RECOVER, 0, 0, 0],
                [UPDATE, 0, 2, 0],
                [UPDATE, 0, 3, 0],
                [UPDATE, 0, 4, 0],
                LOOK,
            ]
            .concat(),
        ),
        (
            "good-damaged-store".to_owned(),
            (0..6)
                .flat_map(|role| [[DAMAGE, role, 99, role], LOOK])
                .chain([LIST, OUT, LOOK])
                .flatten()
                .collect(),
        ),
        ("good-many-roots".to_owned(), [LIST, OUT, LOOK, ALL, ALL, ALL, ALL, LOOK].concat()),
    ];
    stories.push(("good-living-client".to_owned(), living().concat()));
    stories.push(("bad-replayed-after-a-raised-threshold".to_owned(), raised_threshold().concat()));
    stories.extend(keys());
    stories.extend(delegations());
    stories.extend(forgeries());
    stories
}

/// By turns a client that lives on and one that begins anew, while documents change, expire and are withheld.
fn living() -> Vec<Record> {
    let living = [UPDATE, APP_A, 0, 2];
    let unchanged = serve(1, 10, 0);
    let begun = [LIST, OUT, living, living, LOOK, [TARGET, 3, APP_A, 8], OUT, LOOK, living];
    let aged = [[DAY, 20, 0, 0], living, ALL, living, unchanged, ALL, living, LOOK, WELL, living];
    [&begun[..], &aged, &[[DAMAGE, 1, 9, 9], living, [RECOVER, 0, 0, 0], living]].concat()
}

/// Two sign the second timestamp, one the third; then two must sign again, and the second is replayed.
fn raised_threshold() -> Vec<Record> {
    let (one, two) = ([THRESHOLD, 1, 0, 0], [THRESHOLD, 1, 1, 0]);
    vec![LIST, [ADD_KEY, 1, 1, 0], two, OUT, one, ALL, LOOK, two, ALL, serve(1, 2, 1), LOOK]
}

/// Keys come and go, for each top-level role.
fn keys() -> Named {
    let mut stories = Vec::new();
    for role in TOP {
        let rotated = [[ADD_KEY, role, 2, 0], OUT, LOOK, [DROP_KEY, role, 0, 0], OUT, LOOK, LOOK_OFFLINE];
        stories.push((format!("good-rotated-{role}"), [&[LIST, OUT, LOOK][..], &rotated].concat().concat()));
        let raised = [[ADD_KEY, role, 2, 0], [ADD_KEY, role, 3, 0], [THRESHOLD, role, 1, 0], OUT, LOOK];
        let lowered = [[THRESHOLD, role, 0, 0], OUT, LOOK];
        let story = [&[LIST, OUT, LOOK][..], &raised, &lowered].concat().concat();
        stories.push((format!("good-threshold-{role}"), story));
        let away = [[ADD_KEY, role, 2, 0], [DROP_KEY, role, 0, 0], OUT, serve(0, 0, 0), LOOK, WELL, LOOK];
        stories
            .push((format!("good-withheld-root-{role}"), [&[LIST, OUT, LOOK][..], &away].concat().concat()));
    }
    stories
}

fn delegations() -> Named {
    let in_dev = [TARGET, DEV, APP_A, 9];
    let cycle = [[DELEGATE, 3, DEV, 1], [DELEGATE, DEV, UP, 1], [DELEGATE, UP, DEV, 3]];
    vec![
        ("good-delegated".to_owned(), [[DELEGATE, 3, DEV, 1], in_dev, OUT, LOOK, LOOK].concat()),
        ("bad-not-delegated".to_owned(), [[DELEGATE, 3, DEV, 0], in_dev, OUT, LOOK].concat()),
        (
            "bad-terminating".to_owned(),
            [[DELEGATE, 3, UP, 0x81], [DELEGATE, 3, DEV, 1], in_dev, OUT, LOOK].concat(),
        ),
        ("bad-cycle".to_owned(), [&cycle[..], &[OUT, LOOK]].concat().concat()),
        ("good-cycle".to_owned(), [&cycle[..], &[[TARGET, UP, APP_A, 5], OUT, LOOK]].concat().concat()),
        (
            "good-bins".to_owned(),
            [[BINS, 3, 0, 0], [TARGET, 7, APP_A, 4], [TARGET, 8, APP_A, 4], OUT, LOOK].concat(),
        ),
        (
            "good-bins-then-names".to_owned(),
            [[BINS, 3, 0, 0], OUT, LOOK, [DELEGATE, 3, DEV, 1], in_dev, OUT, LOOK].concat(),
        ),
        (
            "bad-stale-delegator".to_owned(),
            [
                [DELEGATE, 3, DEV, 1],
                in_dev,
                OUT,
                LOOK,
                [ADD_KEY, DEV, 1, 0],
                [DROP_KEY, DEV, 0, 0],
                OUT,
                LOOK,
            ]
            .concat(),
        ),
        (
            "good-delegated-anew".to_owned(),
            [
                [DELEGATE, 3, DEV, 1],
                in_dev,
                OUT,
                LOOK,
                [ADD_KEY, DEV, 1, 0],
                [DROP_KEY, DEV, 0, 0],
                [DELEGATE, 3, DEV, 1],
                OUT,
                LOOK,
            ]
            .concat(),
        ),
    ]
}

/// Each role's file, forged each way that needs no key, and healed again.
fn forgeries() -> Named {
    let mut stories = Vec::new();
    for role in [0, 1, 2, 3, DEV] {
        let begun = [[DELEGATE, 3, DEV, 1], [TARGET, DEV, APP_A, 9], OUT, LOOK, [PUBLISH, 0x1f, 0, 0]];
        let kinds = (0..10).flat_map(|kind| [serve(role, kind, 100), LOOK]);
        let story: Vec<u8> = begun.into_iter().chain(kinds).chain([WELL, LOOK]).flatten().collect();
        stories.push((format!("good-forged-then-healed-{role}"), story));
    }
    stories
}
