//! Keys that change: every token is verified by every set that may be kept, whatever the clocks say.

use super::*;

/// Checks by the hour for so many days; with a folder the process starts again every thousand hours.
fn signers_over(days: i64, folder: Option<&TempDir>) -> Vec<String> {
    let open = |now| {
        let source = KeySource::Generated(folder.map(TempDir::path));
        Assertions::new(source, Vec::new(), "i".to_owned(), at(now)).expect("keys")
    };
    let mut door = open(START);
    let mut service = Service::default();
    let mut signers = vec![signs_with(&door)];
    for hour in 0..days * 24 {
        let now = START + hour * HOUR;
        // The service comes shortly before and after the door's check, which is when something changes.
        service.meets(&[&door], now - 10);
        if folder.is_some() && hour % 1000 == 999 {
            door = open(now);
        } else {
            door.check(at(now));
        }
        service.meets(&[&door], now + 10);
        assert_one_signs(&door);
        let signer = signs_with(&door);
        if signers.last() != Some(&signer) {
            assert!(!signers.contains(&signer), "no key comes back");
            signers.push(signer);
        }
    }
    signers
}

#[test]
fn over_years_every_token_is_verified_by_every_set_that_may_be_kept() {
    assert_eq!(signers_over(5 * 365, None).len(), 1 + 5 * 365 / 90);
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(signers_over(200, Some(&folder)).len(), 3);
}

#[test]
fn a_key_is_published_a_day_before_it_signs_and_a_day_after() {
    let folder = tempfile::tempdir().expect("a folder");
    let door = open(&folder, START);
    let first = signs_with(&door);
    let (mut published_at, mut signed_at, mut removed_at) = (None, None, None);
    for hour in 1..120 * 24 {
        door.check(at(START + hour * HOUR));
        let keys = published(&door);
        if keys.len() == 2 && published_at.is_none() {
            published_at = Some(hour * HOUR);
        }
        if signs_with(&door) != first && signed_at.is_none() {
            signed_at = Some(hour * HOUR);
        }
        if !keys.contains(&first) && removed_at.is_none() {
            removed_at = Some(hour * HOUR);
        }
    }
    let period = seconds(ASSERTION_KEY_PERIOD);
    assert_eq!(published_at, Some(period - seconds(ASSERTION_KEY_PUBLISHED_AHEAD)));
    assert_eq!(signed_at, Some(period));
    assert_eq!(removed_at, Some(period + seconds(ASSERTION_KEY_KEPT_AFTER)));
}

/// A generator that gives the same numbers every time (SplitMix64).
fn random(state: &AtomicU64) -> u64 {
    let mut value = state.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[test]
fn a_clock_that_steps_never_leaves_a_token_that_cannot_be_verified() {
    for seed in 0..9 {
        let state = AtomicU64::new(seed);
        let source = KeySource::Generated(None);
        let door = Assertions::new(source, Vec::new(), "i".to_owned(), at(START)).expect("keys");
        let mut service = Service::default();
        let mut step = 0;
        for hour in 0..200 * 24 {
            let true_time = START + hour * HOUR;
            service.meets(&[&door], true_time - 10);
            // Hours at first, then days, in the worst case a quarter: in both directions, and often back.
            let width = [6 * HOUR, 3 * DAY, 100 * DAY][usize::try_from(seed % 3).expect("small")];
            match random(&state) % 12 {
                0 => step = i64::try_from(random(&state) % 1000).expect("small") * width / 1000,
                1 => step = -(i64::try_from(random(&state) % 1000).expect("small") * width / 1000),
                2 => step = 0,
                _ => {}
            }
            door.check(at(true_time + step));
            service.meets(&[&door], true_time + 10);
            assert_one_signs(&door);
        }
    }
}

#[test]
fn a_date_that_a_wrong_clock_wrote_does_not_stop_the_rotation() {
    let folder = tempfile::tempdir().expect("a folder");
    let year = 365 * DAY;
    let first = signs_with(&open(&folder, START + 50 * year));
    let door = open(&folder, START);
    assert_eq!(signs_with(&door), first);
    for hour in 1..=91 * 24 {
        door.check(at(START + hour * HOUR));
    }
    assert_ne!(signs_with(&door), first);
}

#[test]
fn after_a_long_pause_the_next_key_is_published_before_it_signs() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = signs_with(&open(&folder, START));
    let later = START + 1000 * DAY;
    let door = open(&folder, later);
    for hour in 0..24 {
        assert_eq!((signs_with(&door), published(&door).len()), (first.clone(), 2));
        door.check(at(later + hour * HOUR));
    }
    // The file says for long that it is published, but this process has shown it to nobody: a crash may have come between.
    let door = open(&folder, later + 1000 * DAY);
    assert_eq!(signs_with(&door), first);
    door.check(at(later + 1000 * DAY + HOUR));
    assert_ne!(signs_with(&door), first);
    assert!(published(&door).contains(&first));
}

#[test]
fn keys_in_memory_alone_are_rotated_too() {
    let source = KeySource::Generated(None);
    let door = Assertions::new(source, Vec::new(), "i".to_owned(), at(START)).expect("keys");
    let first = signs_with(&door);
    for hour in 1..=91 * 24 {
        door.check(at(START + hour * HOUR));
    }
    assert_ne!(signs_with(&door), first);
}

#[tokio::test(start_paused = true)]
async fn the_control_runtime_checks_by_the_hour_and_ends_when_it_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = firegate_core::time::ShiftedClock::new(Arc::new(firegate_core::time::SystemClock));
    let door = Arc::new(open(&folder, clock.now().as_seconds()));
    let stop = CancellationToken::new();
    let running = tokio::spawn(Arc::clone(&door).run(Arc::new(clock.clone()), stop.clone()));
    let first = signs_with(&door);
    clock.advance(90 * DAY);
    let mut hours = 0;
    while signs_with(&door) == first {
        tokio::time::sleep(ASSERTION_KEY_CHECK_INTERVAL).await;
        clock.advance(HOUR);
        hours += 1;
        assert!(hours < 100, "the key is never rotated");
    }
    assert!(hours >= 24, "published for a day before: {hours}");
    stop.cancel();
    running.await.expect("it ends");
}
