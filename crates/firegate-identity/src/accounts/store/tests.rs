use super::*;

const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);

fn account(local_id: &str, email: &str) -> Account {
    let mut account = Account::new(Some(local_id.to_owned()), NOW).unwrap();
    account.email = Some(email.to_owned());
    account
}

fn record(number: u16) -> RefreshTokenRecord {
    let mut token_sha256 = [0; 32];
    token_sha256[..2].copy_from_slice(&number.to_be_bytes());
    RefreshTokenRecord {
        token_sha256,
        directory: Directory::of_project("p"),
        local_id: "alice".to_owned(),
        refresh_epoch: 7,
        sign_in_provider: "password".to_owned(),
        session_claims: "{}".to_owned(),
        auth_time: NOW,
    }
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_the_files() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let store = AccountStore::open(Some(&directory.path().join("accounts"))).unwrap();
    store.insert(&Directory::of_project("p"), &account("alice", "alice@example.com")).unwrap();
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory.path()).unwrap().map(Result::unwrap) {
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        found.push((entry.file_name().into_string().unwrap(), format!("{mode:o}")));
    }
    found.sort();
    let expected = ["accounts", "accounts-shm", "accounts-wal"];
    assert_eq!(found, expected.map(|name| (name.to_owned(), "600".to_owned())));
}

#[test]
fn ids_and_addresses_are_unique_within_a_directory_and_free_in_others() {
    let store = AccountStore::open(None).unwrap();
    let project = Directory::of_project("p");
    let tenant = Directory::of_tenant("p", Some("t".to_owned())).unwrap();
    let alice = account("alice", "alice@example.com");
    store.insert(&project, &alice).unwrap();
    store.insert(&tenant, &alice).unwrap();
    store.insert(&Directory::of_project("q"), &alice).unwrap();
    let refused = |account: &Account| store.insert(&project, account).unwrap_err().to_string();
    assert!(refused(&account("alice", "other@example.com")).contains("this id"));
    assert!(refused(&account("bob", "alice@example.com")).contains("this address"));
    store.delete(&tenant, "alice").unwrap();
    assert_eq!(store.find(&project, AccountSelector::LocalId("alice")).unwrap(), Some(alice));
    assert_eq!(store.find(&tenant, AccountSelector::Email("alice@example.com")).unwrap(), None);
    assert!(matches!(store.delete(&tenant, "alice"), Err(StoreError::NotFound)));
}

#[test]
fn a_refused_change_writes_nothing() {
    let store = AccountStore::open(None).unwrap();
    let project = Directory::of_project("p");
    store.insert(&project, &account("alice", "alice@example.com")).unwrap();
    store.insert(&project, &account("bob", "bob@example.com")).unwrap();
    let refuse = |account: &mut Account| {
        account.display_name = Some("Mallory".to_owned());
        Err(ApiError::UserDisabled)
    };
    assert!(matches!(store.modify(&project, "alice", refuse), Err(StoreError::Refused(_))));
    let collide = |account: &mut Account| {
        account.email = Some("bob@example.com".to_owned());
        Ok(())
    };
    assert!(matches!(store.modify(&project, "alice", collide), Err(StoreError::DuplicateEmail)));
    let unchanged = store.find(&project, AccountSelector::LocalId("alice")).unwrap().unwrap();
    assert_eq!((unchanged.display_name, unchanged.email.as_deref()), (None, Some("alice@example.com")));
}

#[test]
fn a_file_keeps_accounts_and_refresh_tokens() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("accounts.sqlite3");
    let project = Directory::of_project("p");
    let alice = account("alice", "alice@example.com");
    {
        let store = AccountStore::open(Some(&file)).unwrap();
        store.insert(&project, &alice).unwrap();
        store.insert_refresh_token(&record(1)).unwrap();
    }
    let store = AccountStore::open(Some(&file)).unwrap();
    assert_eq!(store.page(&project, "", 10).unwrap(), [alice]);
    assert_eq!(store.find_refresh_token(&record(1).token_sha256).unwrap(), Some(record(1)));
    store.delete_all(&project).unwrap();
    assert_eq!(store.find_refresh_token(&record(1).token_sha256).unwrap(), None);
}

#[test]
fn an_account_keeps_a_bounded_number_of_refresh_tokens() {
    let store = AccountStore::open(None).unwrap();
    let count = u16::try_from(REFRESH_TOKENS_PER_ACCOUNT_MAX).unwrap() + 1;
    for number in 1..=count {
        store.insert_refresh_token(&record(number)).unwrap();
    }
    assert_eq!(store.find_refresh_token(&record(1).token_sha256).unwrap(), None);
    assert!(store.find_refresh_token(&record(2).token_sha256).unwrap().is_some());
    assert!(store.find_refresh_token(&record(count).token_sha256).unwrap().is_some());
}

#[test]
fn accounts_and_refresh_tokens_are_bounded_in_all() {
    let bounds = Bounds { accounts: 2, refresh_tokens: 3 };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("accounts");
    let project = Directory::of_project("p");
    let named = |name: &str| account(name, &format!("{name}@example.com"));
    let store = AccountStore::open_within(Some(&file), bounds).unwrap();
    store.insert(&project, &named("alice")).unwrap();
    store.insert(&Directory::of_project("q"), &named("alice")).unwrap();
    let is_full = |store: &AccountStore, name: &str| {
        matches!(store.insert(&project, &named(name)), Err(StoreError::Full))
    };
    assert!(is_full(&store, "bob"));
    // Whoever is there already can still be told so, and be changed.
    assert!(matches!(store.insert(&project, &named("alice")), Err(StoreError::DuplicateLocalId)));
    store.modify(&project, "alice", |_| Ok(())).unwrap();
    // A start counts anew.
    drop(store);
    let store = AccountStore::open_within(Some(&file), bounds).unwrap();
    assert!(is_full(&store, "bob"));
    store.delete(&project, "alice").unwrap();
    assert!(!is_full(&store, "bob") && is_full(&store, "carol"));
    store.delete_all(&project).unwrap();
    assert!(!is_full(&store, "carol") && is_full(&store, "dave"));

    // Tokens of accounts that are no more count too.
    for number in 1..=4 {
        let local_id = number.to_string();
        store.insert_refresh_token(&RefreshTokenRecord { local_id, ..record(number) }).unwrap();
    }
    assert_eq!(store.find_refresh_token(&record(1).token_sha256).unwrap(), None);
    assert!(store.find_refresh_token(&record(2).token_sha256).unwrap().is_some());
}
