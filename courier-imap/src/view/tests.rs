use super::*;
use proptest::prelude::*;

fn uid(number: u32) -> Uid {
    Uid::new(number).unwrap()
}

fn message(number: u32) -> Message {
    Message {
        uid: uid(number),
        flags: Flags::NONE,
        keywords: Vec::new(),
        recent: Recent::No,
        size: None,
        date: Some(UnixSeconds(0)),
    }
}

fn view(uids: &[u32]) -> View {
    let next = uids.last().map_or(1, |last| last + 1);
    let mut snapshot = Snapshot::new(UidValidity(NonZeroU32::MIN), uid(next));
    for &number in uids {
        snapshot.push(&message(number)).unwrap();
    }
    View::new(snapshot)
}

fn flags(number: u32, flags: Flags, keywords: &[&str]) -> MessageFlags {
    let keywords = keywords
        .iter()
        .map(|k| Keyword::parse(k.as_bytes()).unwrap())
        .collect();
    let uid = uid(number);
    MessageFlags {
        uid,
        flags,
        keywords,
    }
}

fn selected(view: &View, set: &str, by: By) -> (Vec<usize>, Option<u32>) {
    let selection = view.select(&SequenceSet::parse(set.as_bytes()).unwrap(), by);
    (selection.clone().collect(), selection.invalid)
}

#[test]
fn a_message_costs_24_octets() {
    assert_eq!(size_of::<Entry>(), 24);
}

#[test]
fn sets_select_by_number_and_by_uid() {
    let empty = view(&[]);
    let view = view(&[3, 5, 8]);
    assert_eq!(selected(&view, "1:*", By::Sequence), (vec![0, 1, 2], None));
    assert_eq!(selected(&view, "2:7", By::Sequence), (vec![1, 2], Some(4)));
    assert_eq!(selected(&view, "9,11", By::Sequence), (vec![], Some(9)));
    assert_eq!(selected(&view, "9:*", By::Sequence), (vec![2], None));
    assert_eq!(selected(&view, "4:6,8", By::Uid), (vec![1, 2], None));
    assert_eq!(selected(&view, "100:*", By::Uid), (vec![2], None));
    assert_eq!(selected(&view, "1:2,4,9:20", By::Uid), (vec![], None));
    assert_eq!(selected(&empty, "*,1:*", By::Uid), (vec![], None));
    assert_eq!(selected(&empty, "1", By::Sequence), (vec![], Some(1)));
}

#[test]
fn numbers_stay_until_the_expunge_is_told() {
    let mut view = view(&[1, 2, 3, 4]);
    let changes = Changes {
        arrivals: vec![message(7), message(7), message(6)],
        expunged: vec![uid(2), uid(4), uid(2), uid(99)],
        flags: vec![flags(3, Flags::NONE.with(Flag::Seen), &["k"])],
    };
    view.apply(&changes);
    assert_eq!(view.len(), 5);
    assert!(view.at(1).unwrap().is_gone());
    assert_eq!(view.take_expunged(), [4, 2]);
    assert_eq!(view.take_expunged(), Vec::<u32>::new());
    assert_eq!(view.take_exists(), Some(3));
    assert_eq!(view.take_exists(), None);
    assert!(view.take_new_keywords() && !view.take_new_keywords());
    assert_eq!((view.take_changed(), view.take_changed()), (Some(1), None));
    assert_eq!(view.uid_next(), uid(8));
}

#[test]
fn a_message_that_comes_and_goes_untold_leaves_no_trace() {
    let mut view = view(&[1]);
    view.apply(&Changes {
        arrivals: vec![message(2), message(3)],
        ..Changes::default()
    });
    view.apply(&Changes {
        expunged: vec![uid(2)],
        ..Changes::default()
    });
    assert_eq!(view.take_expunged(), Vec::<u32>::new());
    assert_eq!(view.take_exists(), Some(2));
    assert_eq!(view.at(1).unwrap().uid(), uid(3));
}

#[test]
fn what_a_client_knows_is_not_told() {
    let mut view = view(&[1, 2]);
    let seen = flags(1, Flags::NONE.with(Flag::Seen), &[]);
    assert_eq!(view.set_flags(&seen, News::Known), Some(0));
    view.apply(&Changes {
        flags: vec![seen],
        ..Changes::default()
    });
    assert_eq!(view.take_changed(), None);
    assert_eq!(
        view.set_flags(&flags(9, Flags::NONE, &[]), News::Tell),
        None
    );
}

#[test]
fn ever_new_combinations_of_keywords_do_not_pile_up() {
    let mut view = view(&[1, 2, 3]);
    view.set_flags(&flags(2, Flags::NONE, &["stays", "here"]), News::Known);
    for n in 0..5000_u32 {
        let names: Vec<String> = (0..16)
            .filter(|bit| n >> bit & 1 == 1)
            .map(|bit| format!("k{bit}"))
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        view.set_flags(&flags(1, Flags::NONE, &names), News::Known);
    }
    assert!(view.keywords.combinations() <= 1024);
    let kept: Vec<_> = view
        .at(1)
        .unwrap()
        .keywords()
        .map(Keyword::as_str)
        .collect();
    assert_eq!(kept, ["stays", "here"]);
    assert!(
        view.at(0)
            .unwrap()
            .has_keyword(&Keyword::parse(b"K0").unwrap())
    );
}

#[test]
fn snapshots_are_in_order() {
    let mut snapshot = Snapshot::new(UidValidity(NonZeroU32::MIN), uid(9));
    snapshot.push(&message(5)).unwrap();
    assert_eq!(
        snapshot.push(&message(5)).unwrap_err().to_string(),
        "UID 5 follows UID 5"
    );
}

/// What a client makes of the answers.
#[derive(Default)]
struct Client {
    exists: usize,
}

proptest! {
    #[test]
    fn a_client_that_believes_every_line_has_the_right_number(
        steps in proptest::collection::vec((0_u8..4, 1_u32..40), 1..60),
    ) {
        let mut view = view(&[]);
        let mut client = Client::default();
        let mut next = 1;
        let mut there: Vec<u32> = Vec::new();
        for (kind, n) in steps {
            match kind {
                0 => {
                    view.apply(&Changes { arrivals: vec![message(next)], ..Changes::default() });
                    there.push(next);
                    next += n;
                }
                1 => {
                    view.apply(&Changes { expunged: vec![uid(n)], ..Changes::default() });
                    there.retain(|&u| u != n);
                }
                2 => {
                    for number in view.take_expunged() {
                        prop_assert!(number as usize <= client.exists && number > 0);
                        client.exists -= 1;
                    }
                    if let Some(exists) = view.take_exists() {
                        prop_assert!(exists >= client.exists);
                        client.exists = exists;
                    }
                    let uids: Vec<u32> = (0..view.len()).map(|i| view.at(i).unwrap().uid().get()).collect();
                    prop_assert_eq!(&uids, &there);
                }
                _ => {
                    if let Some(exists) = view.take_exists() {
                        prop_assert!(exists >= client.exists);
                        client.exists = exists;
                    }
                }
            }
            prop_assert!(client.exists <= view.len());
        }
    }
}
