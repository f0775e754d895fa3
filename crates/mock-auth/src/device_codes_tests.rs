use proptest::prelude::*;

use super::*;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}

fn codes() -> DeviceCodes {
    DeviceCodes::new(TimeDelta::seconds(600))
}

fn begin(codes: &mut DeviceCodes, now: DateTime<Utc>) -> (String, String) {
    let client = Client {
        id: "app".to_owned(),
        name: None,
        redirect_uris: Vec::new(),
        grant_types: Vec::new(),
        secret: None,
        document_host: None,
    };
    let begun = codes.begin(Arc::new(client), None, Vec::new(), now);
    (
        begun.device_code.expose_secret().to_owned(),
        begun.user_code,
    )
}

fn allow(codes: &mut DeviceCodes, user_code: &str, now: DateTime<Utc>) -> bool {
    let request = codes.find(user_code, now).unwrap();
    let answer = Answer::Allowed {
        subject: "1".to_owned(),
        scopes: Scopes::default(),
    };
    codes.answer(&request, answer, now)
}

fn error(codes: &mut DeviceCodes, device_code: &str, now: DateTime<Utc>) -> &'static str {
    codes
        .take(device_code, "app", now)
        .unwrap_err()
        .code
        .as_str()
}

#[test]
fn a_device_waits_until_somebody_answers_and_gets_one_answer() {
    let mut codes = codes();
    let (device, user) = begin(&mut codes, at(0));
    assert_eq!(error(&mut codes, &device, at(0)), "authorization_pending");
    assert!(allow(&mut codes, &user, at(3)));
    assert!(codes.take(&device, "other", at(5)).is_err());
    let (_, subject, _) = codes.take(&device, "app", at(5)).unwrap();
    assert_eq!(subject, "1");
    assert_eq!(error(&mut codes, &device, at(10)), "invalid_grant");
    assert_eq!(codes.find(&user, at(10)).unwrap_err(), NotFound::Unknown);
}

#[test]
fn a_device_that_asks_too_often_has_to_wait_longer_each_time() {
    let mut codes = codes();
    let (device, user) = begin(&mut codes, at(0));
    assert_eq!(error(&mut codes, &device, at(0)), "authorization_pending");
    assert_eq!(error(&mut codes, &device, at(4)), "slow_down");
    // 10 seconds now.
    assert_eq!(error(&mut codes, &device, at(13)), "slow_down");
    assert_eq!(error(&mut codes, &device, at(28)), "authorization_pending");
    for second in 29..60 {
        assert_eq!(error(&mut codes, &device, at(second)), "slow_down");
    }
    assert!(allow(&mut codes, &user, at(60)));
    assert!(
        codes
            .take(&device, "app", at(59 + LONGEST_INTERVAL))
            .is_ok()
    );
}

#[test]
fn a_device_that_waited_too_long_is_told_so() {
    let mut codes = codes();
    let (device, user) = begin(&mut codes, at(0));
    let request = codes.find(&user, at(599)).unwrap();
    assert_eq!(error(&mut codes, &device, at(599)), "authorization_pending");
    assert!(!codes.answer(&request, Answer::Denied, at(600)));
    assert_eq!(error(&mut codes, &device, at(700)), "expired_token");
    assert_eq!(error(&mut codes, &device, at(1200)), "invalid_grant");
}

#[test]
fn a_no_is_told_once() {
    let mut codes = codes();
    let (device, user) = begin(&mut codes, at(0));
    let request = codes.find(&user, at(0)).unwrap();
    assert!(codes.answer(&request, Answer::Denied, at(0)));
    assert_eq!(error(&mut codes, &device, at(1)), "access_denied");
    assert_eq!(error(&mut codes, &device, at(6)), "invalid_grant");
}

#[test]
fn user_codes_cannot_be_guessed_by_trying() {
    let mut codes = codes();
    let (_, user) = begin(&mut codes, at(0));
    for _ in 0..TRIES {
        assert_eq!(
            codes.find("BBBB-BBBB", at(1)).unwrap_err(),
            NotFound::Unknown
        );
    }
    assert_eq!(
        codes.find(&user, at(60)).unwrap_err(),
        NotFound::TooManyTries
    );
    assert!(codes.find(&user, at(61)).is_ok());
}

#[test]
fn no_more_devices_wait_than_there_is_room_for() {
    let mut codes = codes();
    let (first, user) = begin(&mut codes, at(0));
    for _ in 0..MOST {
        begin(&mut codes, at(1));
    }
    assert_eq!(error(&mut codes, &first, at(2)), "invalid_grant");
    assert_eq!(codes.find(&user, at(2)).unwrap_err(), NotFound::Unknown);
}

proptest! {
    #[test]
    fn a_code_is_found_however_it_is_spelled(gaps in prop::collection::vec("[ .-]{0,2}", 9), upper in any::<bool>()) {
        let mut codes = codes();
        let (_, user) = begin(&mut codes, at(0));
        let letters = user.chars().filter(char::is_ascii_alphabetic);
        let typed: String = letters.zip(&gaps).map(|(letter, gap)| format!("{gap}{letter}")).collect();
        let typed = if upper { typed } else { typed.to_lowercase() };
        prop_assert!(codes.find(&typed, at(0)).is_ok());
    }

    #[test]
    fn any_text_is_looked_up(typed in "\\PC{0,80}") {
        prop_assert!(codes().find(&typed, at(0)).is_err());
    }
}
