use std::collections::{HashSet, VecDeque};
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::rand::SystemRandom;
use firegate_core::jose::CompactJws;
use firegate_core::time::Clock;
use serde_json::json;
use tempfile::TempDir;

use super::key_file::{FORMER_KEY_FILE, KEY_FILE};
use super::rotation::{KeyChain, KeyUse, RotatingKey};
use super::*;
use crate::limits::{
    ASSERTION_KEY_KEPT_AFTER, ASSERTION_KEY_PERIOD, ASSERTION_KEY_PUBLISHED_AHEAD, JWK_SET_MAX_AGE,
};

const START: i64 = 1_800_000_000;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

fn at(seconds: i64) -> UnixTime {
    UnixTime::from_seconds(seconds)
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).expect("few seconds")
}

fn open(folder: &TempDir, now: i64) -> Assertions {
    try_open(folder, now).expect("keys")
}

fn try_open(folder: &TempDir, now: i64) -> Result<Assertions, AssertionKeyError> {
    let source = KeySource::Generated(Some(folder.path()));
    Assertions::new(source, Vec::new(), "https://door.example".to_owned(), at(now))
}

fn signs_with(assertions: &Assertions) -> String {
    assertions.keys().signer().expect("a key").key_id().to_owned()
}

fn published(assertions: &Assertions) -> Vec<String> {
    assertions.verifying_keys().key_ids().map(str::to_owned).collect()
}

fn is_verified(token: &str, keys: &KeySet) -> bool {
    let token = CompactJws::parse(token).expect("a token");
    let key_id = token.header_text("kid").expect("a key id");
    keys.find(key_id).is_some_and(|key| key.verifies(&token))
}

/// A service that keeps every JWK set it has fetched for as long as it may, and a door that signs. The true time runs by
/// the hour; the door's clock is what it is told.
#[derive(Default)]
struct Service {
    fetched: VecDeque<(i64, Arc<SigningKeys>)>,
    /// The keys that tokens were signed with.
    tokens: VecDeque<(i64, String)>,
    /// What was seen to verify a signature really.
    verified: HashSet<String>,
}

impl Service {
    /// Fetches and gets a token at a true time: every set that may still be kept verifies it, and the new set verifies every
    /// token that still lives.
    fn meets(&mut self, doors: &[&Assertions], true_time: i64) {
        self.fetched.retain(|(when, _)| true_time - when <= seconds(JWK_SET_MAX_AGE));
        self.tokens.retain(|(when, _)| true_time - when <= seconds(ASSERTION_LIFETIME_MAX) + 300);
        for door in doors {
            self.fetched.push_back((true_time, door.keys()));
            let signer = signs_with(door);
            // Once for each key: that a set with this key verifies its tokens does not change with the time.
            if self.verified.insert(signer.clone()) {
                let token = door.sign("t", &json!({})).expect("signed").expect("a key");
                assert!(is_verified(&token, &door.verifying_keys()));
            }
            self.tokens.push_back((true_time, signer));
        }
        for (signed, signer) in &self.tokens {
            for (fetched, keys) in &self.fetched {
                assert!(
                    keys.verifying().find(signer).is_some(),
                    "signed at {} and refused by the set of {}",
                    signed - START,
                    fetched - START
                );
            }
        }
    }
}

/// The file holds what the process holds, and exactly one of its keys signs.
fn assert_one_signs(assertions: &Assertions) {
    let rotating = assertions.rotating.as_ref().expect("generated").lock().expect("not poisoned");
    let keys = rotating.held.chain().keys();
    assert_eq!(keys.iter().filter(|key| key.key_use == KeyUse::Signing).count(), 1, "{keys:?}");
    assert!(keys.len() <= 4, "{keys:?}");
    assert!(KeyChain::of(keys.to_vec()).is_some());
}

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

#[test]
fn a_restart_keeps_the_keys_and_the_file_is_its_owners_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let keys = |door: &Assertions| door.keys().document().clone();
    let door = open(&folder, START);
    assert_eq!(keys(&open(&folder, START + HOUR)), keys(&door));
    let names = || -> Vec<_> {
        fs::read_dir(folder.path()).expect("a folder").flatten().map(|entry| entry.file_name()).collect()
    };
    assert_eq!(names(), [KEY_FILE], "nothing half-written is left");
    for hour in 1..=91 * 24 {
        door.check(at(START + hour * HOUR));
    }
    assert_eq!(names(), [KEY_FILE]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(folder.path().join(KEY_FILE)).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    assert_eq!(keys(&open(&folder, START + 91 * DAY)), keys(&door));
}

#[test]
fn a_crash_before_the_rename_leaves_the_old_keys() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = signs_with(&open(&folder, START));
    let partial = folder.path().join("assertion-keys.AAAAAAAAAAA.partial");
    for half in ["", "{\"version\": 1, \"keys\": [{\"kid\""] {
        fs::write(&partial, half).expect("written");
        assert_eq!(signs_with(&open(&folder, START + HOUR)), first);
    }
}

#[test]
fn the_key_of_the_former_version_is_taken_over_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let former = EcdsaP256Signer::generate().expect("a key");
    let former_file = folder.path().join(FORMER_KEY_FILE);
    fs::write(&former_file, former.pkcs8()).expect("written");
    assert_eq!(signs_with(&open(&folder, START)), former.key_id());
    assert!(!former_file.exists(), "the key is in one place alone");
    // A crash before the removal leaves it there.
    fs::write(&former_file, former.pkcs8()).expect("written");
    let door = open(&folder, START + HOUR);
    assert_eq!(signs_with(&door), former.key_id());
    assert!(!former_file.exists());
    for hour in 2..=95 * 24 {
        door.check(at(START + hour * HOUR));
    }
    assert!(!published(&door).contains(&former.key_id().to_owned()), "and it is rotated like any other");
    // A key that was never taken over is not Firegate's to remove.
    fs::write(&former_file, former.pkcs8()).expect("written");
    open(&folder, START + 96 * DAY);
    assert!(former_file.exists());
    fs::remove_file(folder.path().join(KEY_FILE)).expect("removed");
    fs::write(&former_file, b"no key").expect("written");
    let refused = try_open(&folder, START).expect_err("no key").to_string();
    assert!(refused.contains(FORMER_KEY_FILE), "{refused}");
    assert!(!folder.path().join(KEY_FILE).exists(), "no new key in its place");
}

#[test]
fn a_file_that_cannot_be_used_is_an_error_that_names_it_and_never_a_new_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(KEY_FILE);
    let door = open(&folder, START);
    let good = fs::read_to_string(&file).expect("the file");
    let other = EcdsaP256Signer::generate().expect("a key");
    let check = |text: String, why: &str| {
        assert_ne!(text, good, "{why}");
        fs::write(&file, &text).expect("written");
        let refused = try_open(&folder, START).expect_err(why).to_string();
        assert!(refused.contains(&*file.to_string_lossy()) && refused.contains(why), "{refused}");
        // Who runs already goes on with the keys that it has, and leaves the file alone.
        door.check(at(START + 100 * DAY));
        assert_eq!((signs_with(&door), published(&door).len()), (signs_with(&door), 1));
        assert_eq!(fs::read_to_string(&file).expect("the file"), text);
    };
    check(String::new(), "cut off");
    check(good[..good.len() / 2].to_owned(), "cut off");
    check("{}".to_owned(), "cut off");
    check(good.replace("\"version\": 1", "\"version\": 2"), "another version");
    check(good.replace("\"kid\"", "\"key\""), "cut off");
    check(good.replace("\"signing\"", "\"retired\""), "not exactly one");
    check(good.replace("\"signing\"", "\"new\""), "cut off");
    check(good.replace(&signs_with(&door), other.key_id()), "damaged");
    check(good.replace("\"pkcs8\": \"M", "\"pkcs8\": \"N"), "damaged");
    check("{\"version\": 1, \"keys\": []}".to_owned(), "not exactly one");
    fs::write(&file, &good).expect("written");
    door.check(at(START + HOUR));
    assert_eq!(signs_with(&open(&folder, START + HOUR)), signs_with(&door));
}

#[test]
fn a_file_that_cannot_be_written_leaves_the_old_key_signing_until_it_can() {
    let folder = tempfile::tempdir().expect("a folder");
    let data_dir = folder.path().join("data");
    let source = || KeySource::Generated(Some(&data_dir));
    let door = Assertions::new(source(), Vec::new(), "i".to_owned(), at(START)).expect("keys");
    let first = signs_with(&door);
    let elsewhere = folder.path().join("elsewhere");
    fs::rename(&data_dir, &elsewhere).expect("moved");
    // Where the directory was lies a file, so that not even root can write.
    fs::write(&data_dir, b"").expect("written");
    let refused = Assertions::new(source(), Vec::new(), "i".to_owned(), at(START)).expect_err("no directory");
    assert!(refused.to_string().contains(&*data_dir.to_string_lossy()), "{refused}");
    for hour in 1..=95 * 24 {
        door.check(at(START + hour * HOUR));
        assert_eq!((signs_with(&door), published(&door)), (first.clone(), vec![first.clone()]));
    }
    fs::remove_file(&data_dir).expect("removed");
    fs::rename(&elsewhere, &data_dir).expect("moved");
    door.check(at(START + 95 * DAY));
    assert_eq!((signs_with(&door), published(&door).len()), (first.clone(), 2));
    for hour in 1..=25 {
        door.check(at(START + 95 * DAY + hour * HOUR));
    }
    assert_ne!(signs_with(&door), first);
}

#[test]
fn a_file_that_was_removed_is_written_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let door = open(&folder, START);
    fs::remove_file(folder.path().join(KEY_FILE)).expect("removed");
    door.check(at(START + HOUR));
    assert_eq!(signs_with(&open(&folder, START + HOUR)), signs_with(&door));
}

#[test]
fn two_processes_verify_each_others_tokens() {
    let folder = tempfile::tempdir().expect("a folder");
    let doors = [open(&folder, START), open(&folder, START)];
    assert_eq!(signs_with(&doors[0]), signs_with(&doors[1]), "the second takes the first one's key");
    let mut service = Service::default();
    for hour in 0..100 * 24 {
        let now = START + hour * HOUR;
        for (place, door) in doors.iter().enumerate() {
            // Half an hour apart.
            let now = now + i64::try_from(place).expect("small") * HOUR / 2;
            service.meets(&[&doors[0], &doors[1]], now - 10);
            door.check(at(now));
            service.meets(&[&doors[0], &doors[1]], now + 10);
            assert_one_signs(door);
        }
    }
}

#[test]
fn what_another_process_overwrote_is_still_published_and_written_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(KEY_FILE);
    let (one, other) = (open(&folder, START), open(&folder, START));
    let before = fs::read(&file).expect("the file");
    let due = START + seconds(ASSERTION_KEY_PERIOD) - seconds(ASSERTION_KEY_PUBLISHED_AHEAD);
    one.check(at(due));
    // The other has read the file before the first one wrote it: both made a key, and the last writer wins.
    fs::write(&file, before).expect("written");
    other.check(at(due));
    let (ones, others) = (published(&one), published(&other));
    assert_ne!(ones, others);
    one.check(at(due + HOUR));
    other.check(at(due + HOUR));
    for id in ones.iter().chain(&others) {
        assert!(published(&one).contains(id) && published(&other).contains(id), "{id} is lost");
    }
    assert_eq!(published(&one).len(), 3);
    let mut service = Service::default();
    for hour in 2..100 * 24 {
        for door in [&one, &other] {
            service.meets(&[&one, &other], due + hour * HOUR - 10);
            door.check(at(due + hour * HOUR));
            service.meets(&[&one, &other], due + hour * HOUR + 10);
            assert_one_signs(door);
        }
    }
    assert_eq!(signs_with(&one), signs_with(&other));
}

#[test]
fn a_key_of_another_process_signs_only_after_this_one_has_published_it() {
    let (folder, elsewhere) =
        (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let door = open(&folder, START);
    let own = signs_with(&door);
    // Another process's file comes in the place of ours: without links both can make a first key.
    let theirs = signs_with(&open(&elsewhere, START - HOUR));
    fs::copy(elsewhere.path().join(KEY_FILE), folder.path().join(KEY_FILE)).expect("copied");
    door.check(at(START + HOUR));
    assert_eq!((signs_with(&door), published(&door).len()), (own.clone(), 2));
    door.check(at(START + 2 * HOUR));
    assert_eq!(signs_with(&door), theirs);
    assert!(published(&door).contains(&own));
    assert_one_signs(&door);
}

#[test]
fn of_two_processes_that_retired_each_others_key_both_follow_the_file() {
    let [one, other] = [(); 2].map(|()| EcdsaP256Signer::generate().expect("a key"));
    let key = |signer: &EcdsaP256Signer, key_use, since| RotatingKey {
        signer: signer.clone(),
        created_at: at(START),
        key_use,
        since: at(since),
    };
    let ours = [key(&one, KeyUse::Signing, START + DAY), key(&other, KeyUse::Retired, START + 2 * DAY)];
    let theirs = [key(&one, KeyUse::Retired, START + 2 * DAY), key(&other, KeyUse::Signing, START + DAY)];
    let held = HeldKeys::after(None, KeyChain::of(ours.to_vec()).expect("a chain")).expect("one signs");
    let stored = KeyChain::of(theirs.to_vec()).expect("a chain");
    let merged = stored.clone().merged(Some(&held), at(START + 2 * DAY));
    assert_eq!(merged, stored);
    let held = HeldKeys::after(Some(&held), merged).expect("one signs");
    assert_eq!(held.signer().key_id(), other.key_id());
}

#[test]
fn processes_that_start_at_once_share_one_key_and_never_tear_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let doors = std::thread::scope(|scope| {
        let start = |_| scope.spawn(|| open(&folder, START));
        let threads = (0..8).map(start).collect::<Vec<_>>();
        threads.into_iter().map(|thread| thread.join().expect("opened")).collect::<Vec<_>>()
    });
    for door in &doors {
        assert_eq!(published(door), published(&doors[0]));
    }
    std::thread::scope(|scope| {
        for door in &doors {
            scope.spawn(|| {
                for hour in 89 * 24..92 * 24 {
                    door.check(at(START + hour * HOUR));
                    let rotating = door.rotating.as_ref().expect("generated").lock().expect("not poisoned");
                    assert!(!rotating.failed_before, "the file was always whole");
                }
            });
        }
    });
    try_open(&folder, START + 92 * DAY).expect("a whole file");
}

#[test]
fn the_key_set_names_each_key_by_its_thumbprint_and_verifies_what_is_signed() {
    let mounted = EcdsaP256Signer::generate().expect("a key");
    let previous = EcdsaP256Signer::generate().expect("a key").public_jwk().expect("a JWK");
    let twice = mounted.public_jwk().expect("a JWK");
    let source = KeySource::Mounted(mounted.clone());
    let door =
        Assertions::new(source, vec![previous.clone(), twice], "i".to_owned(), at(START)).expect("keys");
    let document: Value = serde_json::from_slice(door.keys().document()).expect("JSON");
    let keys = document["keys"].as_array().expect("keys");
    assert_eq!(keys.len(), 2, "none is there twice");
    for key in keys {
        let text = |name: &str| key[name].as_str().expect("text").to_owned();
        assert_eq!(
            (text("kty"), text("crv"), text("use"), text("alg")),
            ("EC".into(), "P-256".into(), "sig".into(), "ES256".into())
        );
        assert_eq!(key["d"], Value::Null);
        // RFC 7638, section 3.2: the required members alone, in the order of their names, without white space.
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, text("x"), text("y"));
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, canonical.as_bytes());
        assert_eq!(text("kid"), firegate_core::jose::encode_base64url(digest.as_ref()));
    }
    let token = door.sign("exchanged+jwt", &json!({"sub": "ada"})).expect("signed").expect("a key");
    assert!(is_verified(&token, &door.verifying_keys()));
    let parsed = CompactJws::parse(&token).expect("a token");
    assert_eq!(
        Value::Object(parsed.header().into()),
        json!({"alg": "ES256", "kid": mounted.key_id(), "typ": "exchanged+jwt"})
    );
    let stranger = EcdsaP256Signer::generate().expect("a key");
    let forged = stranger.sign("exchanged+jwt", &json!({}), &SystemRandom::new()).expect("signed");
    assert!(!is_verified(&forged, &door.verifying_keys()));
    door.check(at(START + 1000 * DAY));
    assert_eq!(signs_with(&door), mounted.key_id(), "a mounted key is somebody else's to change");
}

#[test]
fn without_a_key_nothing_is_signed_and_no_token_is_firegates_own() {
    let door = Assertions::new(KeySource::None, Vec::new(), "i".to_owned(), at(START)).expect("no keys");
    assert_eq!(door.sign("t", &json!({})).expect("nothing"), None);
    assert_eq!(door.keys().document().as_ref(), br#"{"keys":[]}"#);
    assert_eq!(published(&door), Vec::<String>::new());
}

#[test]
fn another_document_has_another_tag() {
    let folder = tempfile::tempdir().expect("a folder");
    let door = open(&folder, START);
    let tag = door.keys().entity_tag().clone();
    door.check(at(START + HOUR));
    assert_eq!(door.keys().entity_tag(), &tag);
    door.check(at(START + 90 * DAY));
    assert_ne!(door.keys().entity_tag(), &tag);
    assert!(tag.to_str().expect("text").starts_with('"'), "strong");
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
