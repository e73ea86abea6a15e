//! Whole exchanges.

use proptest::prelude::*;

use super::super::password::digest::{hmac_sha256, pbkdf2, sha256};
use super::*;

fn exchange(mechanism: Mechanism) -> Exchange {
    let server_key = Secret::new("of this server");
    Exchange::new(
        mechanism,
        Material {
            nonce: [7; 18],
            server_key,
        },
    )
}

fn verdict(output: Output) -> Verdict {
    match output {
        Output::Say(verdict) => verdict,
        question => panic!("unexpected {question:?}"),
    }
}

fn said(output: Output) -> String {
    match verdict(output) {
        Verdict::Challenge(octets) => String::from_utf8(octets).expect("text"),
        other => panic!("unexpected {other:?}"),
    }
}

#[test]
fn plain_without_an_initial_response_is_asked_for_it() {
    let mut exchange = exchange(Mechanism::Plain);
    assert_eq!(said(exchange.begin(None)), "");
    let output = exchange.respond(Secret::new("john\0john\0a b"));
    let Output::Verify {
        token,
        login,
        password,
    } = output
    else {
        panic!("a question")
    };
    assert_eq!((login.as_str(), password), ("john", Secret::new("a b")));
    assert_eq!(exchange.login(), None);
    let answer = exchange.verified(token, Verified::Yes);
    assert_eq!(verdict(answer), Verdict::Accepted);
    assert_eq!(exchange.login().map(Login::as_str), Some("john"));
}

#[test]
fn plain_is_strict_about_its_three_fields() {
    for (response, wanted) in [
        ("", Verdict::Malformed),
        ("john", Verdict::Malformed),
        ("\0john", Verdict::Malformed),
        ("\0john\0pass\0word", Verdict::Malformed),
        ("\0\0password", Verdict::Refused),
        ("\0john\0", Verdict::Refused),
        ("\0jo\nhn\0password", Verdict::Refused),
        ("root\0john\0password", Verdict::Refused),
    ] {
        let output = exchange(Mechanism::Plain).begin(Some(Secret::new(response)));
        assert_eq!(verdict(output), wanted, "{response:?}");
    }
    let latin1 = Secret::new(&b"\0j\xf6rg\0password"[..]);
    let output = exchange(Mechanism::Plain).begin(Some(latin1));
    assert_eq!(verdict(output), Verdict::Refused);
}

#[test]
fn a_password_need_not_be_utf_8() {
    let latin1 = Secret::new(&b"\0john\0p\xe4ss"[..]);
    let output = exchange(Mechanism::Plain).begin(Some(latin1));
    assert!(matches!(output, Output::Verify { .. }));
}

#[test]
fn login_asks_twice() {
    for answer in [Verified::Yes, Verified::No, Verified::Unavailable] {
        let mut exchange = exchange(Mechanism::Login);
        assert_eq!(said(exchange.begin(None)), "Username:");
        assert_eq!(said(exchange.respond(Secret::new("john"))), "Password:");
        let Output::Verify { token, .. } = exchange.respond(Secret::new("sesame")) else {
            panic!("a question")
        };
        let wanted = match answer {
            Verified::Yes => Verdict::Accepted,
            Verified::No => Verdict::Refused,
            Verified::Unavailable => Verdict::Unavailable,
        };
        assert_eq!(verdict(exchange.verified(token, answer)), wanted);
        assert_eq!(exchange.login().is_some(), answer == Verified::Yes);
    }
}

#[test]
fn login_takes_the_user_name_as_initial_response() {
    let mut exchange = exchange(Mechanism::Login);
    assert_eq!(said(exchange.begin(Some(Secret::new("john")))), "Password:");
    assert_eq!(
        verdict(exchange.respond(Secret::default())),
        Verdict::Refused
    );
}

/// What an honest client answers to `server_first`.
fn client_final(password: &str, bare: &str, server_first: &str) -> (String, String) {
    let mut fields = server_first.split(',').map(|field| &field[2..]);
    let (nonce, salt, iterations) = (
        fields.next().expect("nonce"),
        STANDARD
            .decode(fields.next().expect("salt"))
            .expect("base64"),
        fields.next().expect("iterations").parse().expect("number"),
    );
    let mut salted = [0; 32];
    pbkdf2::<hmac::Hmac<sha2::Sha256>>(password.as_bytes(), &salt, iterations, &mut salted);
    let client_key = hmac_sha256(&salted, &[b"Client Key"]);
    let without_proof = format!("c=biws,r={nonce}");
    let auth_message = format!("{bare},{server_first},{without_proof}");
    let signature = hmac_sha256(&sha256(&client_key), &[auth_message.as_bytes()]);
    let proof: Vec<u8> = client_key
        .iter()
        .zip(signature)
        .map(|(a, b)| a ^ b)
        .collect();
    let server_key = hmac_sha256(&salted, &[b"Server Key"]);
    let server_signature = hmac_sha256(&server_key, &[auth_message.as_bytes()]);
    (
        format!("{without_proof},p={}", STANDARD.encode(proof)),
        format!("v={}", STANDARD.encode(server_signature)),
    )
}

#[test]
fn scram_proves_both_sides_to_each_other() {
    let keys = ScramKeys::derive(&Secret::new("pencil"), b"salt", 4096);
    for (password, accepted) in [("pencil", true), ("pen", false)] {
        let mut exchange = exchange(Mechanism::ScramSha256);
        assert_eq!(said(exchange.begin(None)), "");
        let Output::FindKeys { token, login } = exchange.respond(Secret::new("n,,n=john,r=abc"))
        else {
            panic!("a question")
        };
        assert_eq!(login.as_str(), "john");
        let server_first = said(exchange.keys(token, Keys::Found(keys.clone())));
        assert!(server_first.starts_with("r=abcBwcH"), "{server_first}");
        let (client_final, server_final) = client_final(password, "n=john,r=abc", &server_first);
        let output = exchange.respond(Secret::new(client_final));
        if accepted {
            assert_eq!(said(output), server_final);
            assert_eq!(exchange.login(), None, "not before the last response");
            assert_eq!(
                verdict(exchange.respond(Secret::default())),
                Verdict::Accepted
            );
            assert_eq!(exchange.login().map(Login::as_str), Some("john"));
        } else {
            assert_eq!(verdict(output), Verdict::Refused);
        }
    }
}

#[test]
fn scram_shows_one_salt_for_all_spellings_of_an_unknown_login() {
    let challenge = |login: &str, name: &str| {
        let mut exchange = exchange(Mechanism::ScramSha256);
        let first = Secret::new(format!("n,,n={login},r=abc"));
        let Output::FindKeys { token, .. } = exchange.begin(Some(first)) else {
            panic!("a question")
        };
        let name = name.to_owned();
        let server_first = said(exchange.keys(token, Keys::None { name }));
        let (client_final, _) = client_final("x", &format!("n={login},r=abc"), &server_first);
        let output = exchange.respond(Secret::new(client_final));
        assert_eq!(verdict(output), Verdict::Refused);
        server_first
    };
    assert_eq!(challenge("JOHN", "john"), challenge("john", "john"));
    assert_ne!(challenge("john", "john"), challenge("jane", "jane"));
}

#[test]
fn a_database_that_cannot_answer_is_not_a_no() {
    let mut exchange = exchange(Mechanism::ScramSha256);
    let Output::FindKeys { token, .. } = exchange.begin(Some(Secret::new("n,,n=john,r=abc")))
    else {
        panic!("a question")
    };
    let output = exchange.keys(token, Keys::Unavailable);
    assert_eq!(verdict(output), Verdict::Unavailable);
}

#[test]
fn an_exchange_that_is_over_stays_so() {
    let mut exchange = exchange(Mechanism::Plain);
    assert_eq!(
        verdict(exchange.begin(Some(Secret::new("x")))),
        Verdict::Malformed
    );
    let output = exchange.respond(Secret::new("\0john\0sesame"));
    assert_eq!(verdict(output), Verdict::Malformed);
}

#[test]
fn mechanisms_are_known_by_name() {
    for mechanism in Mechanism::ALL {
        assert_eq!(
            Mechanism::parse(&mechanism.name().to_lowercase()),
            Some(mechanism)
        );
    }
    assert_eq!(Mechanism::parse("SCRAM-SHA-256-PLUS"), None);
    assert!(!Mechanism::ScramSha256.sends_password());
}

proptest! {
    #[test]
    fn nobody_gets_in_without_a_yes(
        number in 0_usize..3,
        responses in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..5),
    ) {
        let mut exchange = exchange(Mechanism::ALL[number]);
        let mut output = exchange.begin(None);
        for response in responses {
            output = match output {
                Output::Say(Verdict::Challenge(_)) => exchange.respond(response.into()),
                Output::Say(verdict) => {
                    prop_assert_ne!(verdict, Verdict::Accepted);
                    break;
                }
                Output::Verify { token, .. } => exchange.verified(token, Verified::No),
                Output::FindKeys { token, login } => {
                    exchange.keys(token, Keys::None { name: login.to_string() })
                }
            };
        }
        prop_assert_eq!(exchange.login(), None);
    }
}
