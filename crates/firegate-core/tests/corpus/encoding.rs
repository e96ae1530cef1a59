//! The serialisation: other spellings of the same token, and what is no compact JWS at all.

use firegate_core::jose::encode_base64url;
use serde_json::json;

use super::case::{Corpus, Draft, Offered};
use super::keys::{KEYS, Scheme};

const MALFORMED: &str = "TOKEN_MALFORMED";
/// The longest token, in bytes.
const TOKEN_BYTES_MAX: usize = 16 * 1024;

pub(crate) fn add(corpus: &mut Corpus) {
    segments(corpus);
    alphabet(corpus);
    last_bits(corpus);
    texts(corpus);
    sizes(corpus);
}

fn segments(corpus: &mut Corpus) {
    let corpus = corpus.class("segments", Offered::IdToken);
    let draft = Draft::id_token();
    let token = draft.sign();
    let [header, payload] = draft.segments();
    let signature = encode_base64url(&draft.signature());
    let text = draft.payload.to_string();
    let flattened = json!({"protected": header, "payload": payload, "signature": signature}).to_string();
    let general = json!({"payload": payload, "signatures": [{"protected": header, "signature": signature}]})
        .to_string();
    for (name, how, token) in [
        ("empty", "nothing at all", String::new()),
        ("dot", "one dot", ".".to_owned()),
        ("two_dots", "two dots", "..".to_owned()),
        ("one", "the payload alone", payload.clone()),
        ("two", "no signature and no second dot", format!("{header}.{payload}")),
        ("two_and_signature", "no header", format!("{payload}.{signature}")),
        ("four", "a fourth segment", format!("{token}.{signature}")),
        ("four_empty", "a dot at the end", format!("{token}.")),
        ("dot_first", "a dot at the beginning", format!(".{token}")),
        ("double_dot", "two dots after the header", format!("{header}..{payload}.{signature}")),
        (
            "five",
            "the five segments of a JWE",
            format!("{header}.{payload}.{signature}.{signature}.{signature}"),
        ),
        ("jwe", "a JWE with direct encryption", {
            let header = encode_base64url(br#"{"alg":"dir","enc":"A256GCM"}"#);
            format!("{header}..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA")
        }),
        ("many", "a thousand dots", ".".repeat(1000)),
        ("no_header", "an empty header", format!(".{payload}.{signature}")),
        ("no_payload", "an empty payload: a detached signature", format!("{header}..{signature}")),
        ("flattened_json", "JWS JSON serialisation, flattened", flattened),
        ("general_json", "JWS JSON serialisation, general", general),
        ("plain_json", "the claims as JSON", text.clone()),
        ("unencoded_payload", "the payload not encoded (RFC 7797)", format!("{header}.{text}.{signature}")),
        ("unencoded_header", "the header not encoded", format!("{}.{payload}.{signature}", draft.header)),
        ("swapped", "header and payload swapped", format!("{payload}.{header}.{signature}")),
        ("twice", "the token twice", format!("{token}{token}")),
        ("comma", "the token twice with a comma", format!("{token},{token}")),
        ("bearer", "with `Bearer ` before it", format!("Bearer {token}")),
        ("quoted", "in quotes", format!("\"{token}\"")),
        ("percent_dots", "with percent-encoded dots", token.replace('.', "%2e")),
        ("other_dots", "with full-width dots", token.replace('.', "．")),
        ("removed_signature", "with the signature that Cloud Run leaves", {
            format!("{header}.{payload}.SIGNATURE_REMOVED_BY_GOOGLE")
        }),
        ("access_token", "a Google access token", "ya29.a0AfH6SMBx".to_owned()),
        ("api_key", "an API key", "AIzaSyA1234567890abcdefghijklmnopqrstuv".to_owned()),
        ("owner", "what the emulator takes for an administrator", "owner".to_owned()),
        ("basic", "user and password", "dXNlcjpwYXNz".to_owned()),
        ("reversed", "the token backwards", token.chars().rev().collect()),
        ("upper_case", "in capitals", token.to_uppercase()),
        ("encoded_twice", "the whole token in base64url", encode_base64url(token.as_bytes())),
    ] {
        let reason = match name {
            "removed_signature" => "TOKEN_SIGNATURE_INVALID",
            // Both are objects, and the one in the payload's place names no issuer.
            "swapped" => "TOKEN_ISSUER_UNKNOWN",
            _ => MALFORMED,
        };
        corpus.refuse(name, how, token, reason);
    }
    corpus.refuse(
        "no_signature",
        "an empty signature",
        format!("{header}.{payload}."),
        "TOKEN_SIGNATURE_INVALID",
    );
    corpus.refuse(
        "nested",
        "a token as another's payload, `cty` JWT",
        draft.clone().header("cty", "JWT").payload_bytes(token).sign(),
        MALFORMED,
    );
}

/// Each mutation is made to each segment, over a signature that is good for the mutated text.
fn alphabet(corpus: &mut Corpus) {
    let corpus = corpus.class("base64", Offered::IdToken);
    for (name, how, mutate) in MUTATIONS {
        for place in 0..3 {
            let draft = Draft::id_token();
            let mut segments = draft.segments().to_vec();
            if place < 2 {
                segments[place] = mutate(&segments[place]);
            }
            let signed = draft.sign_segments(segments.join("."));
            let token = match (place, signed.rsplit_once('.')) {
                (2, Some((input, signature))) => format!("{input}.{}", mutate(signature)),
                _ => signed,
            };
            let place = ["header", "payload", "signature"][place];
            corpus.refuse(&format!("{name}_{place}"), &format!("{how}, in the {place}"), token, MALFORMED);
        }
    }
}

type Mutation = (&'static str, &'static str, fn(&str) -> String);

const MUTATIONS: &[Mutation] = &[
    ("padding", "padded to a multiple of four", |text| {
        // A segment that needs none gets a whole block of it.
        format!("{text}{}", &"===="[..if text.len() % 4 == 0 { 4 } else { 4 - text.len() % 4 }])
    }),
    ("one_equals_sign", "with one `=`", |text| format!("{text}=")),
    ("plus_first", "with `+` before it", |text| format!("+{text}")),
    ("plus", "with a `+` in it", |text| with_other_character(text, "+")),
    ("slash", "with a `/` in it", |text| with_other_character(text, "/")),
    ("space_before", "with a space before it", |text| format!(" {text}")),
    ("space_after", "with a space after it", |text| format!("{text} ")),
    ("space_inside", "with a space in it", |text| format!("{} {}", &text[..8], &text[8..])),
    ("tab", "with a tab in it", |text| format!("{}\t{}", &text[..8], &text[8..])),
    ("line_feed", "with a line break in it", |text| format!("{}\n{}", &text[..8], &text[8..])),
    ("wrapped", "in lines of 76 characters", |text| {
        let lines = text.as_bytes().chunks(76).map(String::from_utf8_lossy).collect::<Vec<_>>();
        format!("{}\r\n", lines.join("\r\n"))
    }),
    ("nul", "with a NUL after it", |text| format!("{text}\u{0}")),
    ("illegal", "with an exclamation mark in it", |text| format!("{}!{}", &text[..8], &text[8..])),
    ("percent", "percent-encoded", |text| format!("%{:02X}{}", text.as_bytes()[0], &text[1..])),
    ("wide", "with a full-width letter in it", |text| format!("{}Ａ{}", &text[..8], &text[9..])),
    ("zero_width", "with a zero-width space in it", |text| format!("{}\u{200b}{}", &text[..8], &text[8..])),
    ("one_character", "of one character", |_| "A".to_owned()),
    ("impossible_length", "of a length that no bytes have", |text| {
        let length = text.len() / 4 * 4 - 3;
        text[..length].to_owned()
    }),
];

/// A text with a character of the other alphabet (RFC 4648, section 4) in the place of one that means something else there: in
/// the place of `-` a lax decoder would take `+` for it, and signatures have one anywhere.
fn with_other_character(text: &str, other: &str) -> String {
    let rest = &text[8..];
    let at = 8 + rest.find(|letter| !matches!(letter, '-' | '_')).expect("a letter");
    format!("{}{other}{}", &text[..at], &text[at + 1..])
}

/// The bits after the last byte are zero in the one canonical form; the others decode to the same bytes.
fn last_bits(corpus: &mut Corpus) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let corpus = corpus.class("base64-last-bits", Offered::IdToken);
    let alias = |segment: &str, bit: usize| {
        let last = segment.bytes().last().expect("a character");
        let at = ALPHABET.iter().position(|letter| *letter == last).expect("base64url");
        format!("{}{}", &segment[..segment.len() - 1], char::from(ALPHABET[at | bit]))
    };
    // One more character of a claim, until the segment has bits to spare.
    let with_spare_bits = |spare: usize| {
        let drafts = (0..3).map(|more| Draft::id_token().claim("x", "y".repeat(more)));
        let mut found = drafts.filter(|draft| draft.segments()[1].len() % 4 == spare);
        found.next().expect("a length")
    };
    for (spare, bits) in [(2, [1, 2, 4, 8].as_slice()), (3, [1, 2].as_slice())] {
        for bit in bits {
            let draft = with_spare_bits(spare);
            let [header, payload] = draft.segments();
            let token = draft.sign_segments(format!("{header}.{}", alias(&payload, *bit)));
            let how = "a payload that decodes to the same bytes, over a good signature";
            corpus.refuse(&format!("payload_{spare}_{bit}"), how, token, MALFORMED);
            let (signed, signature) = token_parts(&draft);
            if spare == 2 {
                let how = "a signature that decodes to the same bytes";
                corpus.refuse(
                    &format!("signature_{bit}"),
                    how,
                    format!("{signed}.{}", alias(&signature, *bit)),
                    MALFORMED,
                );
            }
        }
    }
}

fn token_parts(draft: &Draft) -> (String, String) {
    let token = draft.sign();
    let (signed, signature) = token.rsplit_once('.').expect("three parts");
    (signed.to_owned(), signature.to_owned())
}

/// Bytes that are no UTF-8 text, or text that is no JSON to everybody.
fn texts(corpus: &mut Corpus) {
    let corpus = corpus.class("text", Offered::IdToken);
    let payload = Draft::id_token().payload.to_string();
    let header = Draft::id_token().header.to_string();
    let utf16 = |text: &str, big: bool| {
        let bytes = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
        text.encode_utf16().flat_map(bytes).collect::<Vec<_>>()
    };
    let with = |before: &[u8], text: &str| [before, text.as_bytes()].concat();
    let within = |bytes: &[u8]| {
        let (before, after) = payload.split_once("Ada").expect("a name");
        [before.as_bytes(), bytes, after.as_bytes()].concat()
    };
    for (name, how, bytes) in [
        ("bom", "a byte order mark", with(b"\xef\xbb\xbf", &payload)),
        ("utf16_le", "UTF-16", utf16(&payload, false)),
        (
            "utf16_be_bom",
            "UTF-16 with a byte order mark",
            [b"\xfe\xff".to_vec(), utf16(&payload, true)].concat(),
        ),
        ("invalid_utf8", "a byte that UTF-8 has not", within(b"A\xffa")),
        ("latin_1", "Latin-1", within(b"\xc4da")),
        ("cut_utf8", "a character cut short", within(b"\xe2\x82")),
        ("overlong", "an overlong `a`", within(b"Ad\xc1\xa1")),
        ("overlong_nul", "an overlong NUL", within(b"Ada\xc0\x80")),
        ("surrogate_bytes", "a surrogate in UTF-8", within(b"\xed\xa0\x80")),
        ("beyond_unicode", "a character after the last", within(b"\xf4\x90\x80\x80")),
        ("lone_high_surrogate", "an escaped high surrogate alone", within(br"\ud800")),
        ("lone_low_surrogate", "an escaped low surrogate alone", within(br"\udc00")),
        ("swapped_surrogates", "escaped surrogates in the wrong order", within(br"\ude00\ud83d")),
        ("raw_nul", "a NUL in a string", within(b"A\0a")),
        ("raw_line_feed", "a line break in a string", within(b"A\na")),
        ("raw_tab", "a tab in a string", within(b"A\ta")),
        ("bad_escape", "an escape that JSON has not", within(br"A\x41a")),
        ("short_escape", "an escape cut short", within(br"\u00")),
    ] {
        corpus.refuse(name, how, Draft::id_token().payload_bytes(bytes).sign(), MALFORMED);
    }
    for (name, how, bytes) in [
        ("header_bom", "a byte order mark in the header", with(b"\xef\xbb\xbf", &header)),
        ("header_utf16", "a header in UTF-16", utf16(&header, false)),
        ("header_invalid_utf8", "a header with a byte that UTF-8 has not", with(b"\xff", &header)),
    ] {
        corpus.refuse(name, how, Draft::id_token().header_bytes(bytes).sign(), MALFORMED);
    }
}

fn sizes(corpus: &mut Corpus) {
    let corpus = corpus.class("size", Offered::IdToken);
    // As long as wanted, as far as base64 has such a length: the header's spaces move the payload by single characters.
    let sized = |bytes: usize| {
        let candidates = (0..4_usize).flat_map(|spaces| {
            let header = format!("{}{}", Draft::id_token().header, " ".repeat(spaces));
            let draft = Draft::id_token().header_bytes(header);
            let room = (bytes - draft.sign().len()) * 3 / 4;
            (0..4_usize)
                .map(move |less| draft.clone().claim("x", "x".repeat(room.saturating_sub(6 + less))).sign())
        });
        candidates.into_iter().find(|token| token.len() == bytes)
    };
    for bytes in TOKEN_BYTES_MAX - 4..=TOKEN_BYTES_MAX {
        if let Some(token) = sized(bytes) {
            corpus.accept(&format!("{bytes}_bytes"), "as long as a token may be, or nearly", token);
        }
    }
    for bytes in TOKEN_BYTES_MAX + 1..=TOKEN_BYTES_MAX + 4 {
        if let Some(token) = sized(bytes) {
            corpus.refuse(&format!("{bytes}_bytes"), "a little longer than a token may be", token, MALFORMED);
        }
    }
    let long = |bytes: usize| Draft::id_token().claim("x", "x".repeat(bytes)).sign();
    corpus.refuse("64_kib", "well signed, of 64 KiB", long(48 * 1024), MALFORMED);
    corpus.refuse("1_mib", "well signed, of 1 MiB", long(768 * 1024), MALFORMED);
    corpus.refuse("1_mib_of_dots", "1 MiB of dots", ".".repeat(1 << 20), MALFORMED);
    corpus.refuse("1_mib_of_a", "1 MiB of one letter", "a".repeat(1 << 20), MALFORMED);
    corpus.refuse(
        "1_mib_signature",
        "a signature of 1 MiB",
        Draft::id_token().scheme(Scheme::Bytes(vec![0; 768 * 1024])).sign(),
        MALFORMED,
    );
    corpus.refuse(
        "1_mib_kid",
        "a `kid` of 1 MiB",
        Draft::id_token().header("kid", KEYS.id_token.id().repeat(20_000)).sign(),
        MALFORMED,
    );
}
