//! Is it the answer, and does it say what it should?

use std::borrow::Cow;

use memchr::memmem::{Finder, find_iter};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use crate::{
    failure::{Failure, Kind},
    scan,
};

/// The result of a JSON-RPC response, after a cheap look: the id is that of the request, there is a result and no error, and
/// the result is complete and no tool's error. Nothing is parsed, and nothing allocated unless something is wrong.
pub(crate) fn result(body: &[u8], id: u64) -> Result<&[u8], Failure> {
    let broken = |_| Failure::said(Kind::Malformed, body);
    let [own, result, error] = scan::members(body, [b"id", b"result", b"error"]).map_err(broken)?;
    let says_id = |own: &[u8]| str::from_utf8(own).ok()?.parse::<u64>().ok();
    if let Some(error) = error {
        // An error that could not read the request has no id, or null.
        if own.is_some_and(|own| own != b"null" && says_id(own) != Some(id)) {
            return Err(Failure::said(Kind::WrongId, body));
        }
        let code = scan::members(error, [b"code"]).ok().and_then(|[code]| code);
        let code = code.and_then(|code| str::from_utf8(code).ok()?.parse().ok());
        return Err(match code {
            Some(code) => Failure::said(Kind::Rpc(code), error),
            None => Failure::said(Kind::Malformed, body),
        });
    }
    let (Some(own), Some(result)) = (own, result) else {
        return Err(Failure::said(Kind::Malformed, body));
    };
    if says_id(own) != Some(id) {
        let words = format!(
            "asked under {id}, answered under {}",
            String::from_utf8_lossy(own)
        );
        return Err(Failure::new(Kind::WrongId, words));
    }
    let [is_error, kind] = scan::members(result, [b"isError", b"resultType"]).map_err(broken)?;
    if is_error == Some(b"true") {
        return Err(Failure::said(Kind::Tool, result));
    }
    if kind.is_some_and(|kind| kind != b"\"complete\"") {
        return Err(Failure::said(Kind::WrongData, result));
    }
    Ok(result)
}

/// The same with every byte looked at: the whole is well-formed JSON, under version 2.0, in UTF-8; a stateless result says
/// what kind it is (MCP 2026-07-28, `resultType`).
pub(crate) fn check_whole(body: &[u8], has_kind: bool) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Response<'a> {
        jsonrpc: Cow<'a, str>,
        #[serde(borrow)]
        result: &'a RawValue,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Kinded<'a> {
        result_type: Option<Cow<'a, str>>,
    }
    let malformed =
        |error: serde_json::Error| Failure::new(Kind::Malformed, format!("not JSON: {error}"));
    let response: Response<'_> = serde_json::from_slice(body).map_err(malformed)?;
    let kinded: Kinded<'_> = serde_json::from_str(response.result.get()).map_err(malformed)?;
    if response.jsonrpc != "2.0" || has_kind && kinded.result_type.is_none() {
        return Err(Failure::said(Kind::Malformed, body));
    }
    Ok(())
}

/// What a tool's result says as data: its structured content, or where a revision has none, the last text that is an object.
pub(crate) fn data(result: &[u8]) -> Result<Cow<'_, [u8]>, Failure> {
    #[derive(Deserialize)]
    struct Blocks<'a> {
        #[serde(borrow)]
        content: Vec<Block<'a>>,
    }
    #[derive(Deserialize)]
    struct Block<'a> {
        #[serde(borrow)]
        text: Option<Cow<'a, str>>,
    }
    let without = || Failure::said(Kind::WrongData, result);
    let [structured] = scan::members(result, [b"structuredContent"]).map_err(|_| without())?;
    if let Some(structured) = structured {
        return Ok(Cow::Borrowed(structured));
    }
    let blocks: Blocks<'_> = serde_json::from_slice(result).map_err(|_| without())?;
    let texts = blocks
        .content
        .into_iter()
        .rev()
        .filter_map(|block| block.text);
    let mut objects = texts.filter(|text| text.starts_with('{'));
    let object = objects.next().ok_or_else(without)?;
    Ok(Cow::Owned(object.into_owned().into_bytes()))
}

/// An entry, or a line of a list of them.
#[derive(Debug, Deserialize)]
pub(crate) struct Entry<'a> {
    pub(crate) id: i64,
    #[serde(borrow)]
    pub(crate) title: Cow<'a, str>,
}

/// What tools for one entry answer.
#[derive(Debug, Deserialize)]
pub(crate) struct OneEntry<'a> {
    #[serde(borrow)]
    pub(crate) entry: Entry<'a>,
}

/// What lists and searches answer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EntryPage<'a> {
    #[serde(borrow)]
    pub(crate) entries: Vec<Entry<'a>>,
    #[serde(borrow)]
    pub(crate) next_cursor: Option<Cow<'a, str>>,
}

/// A tag, as far as it is looked at.
#[derive(Debug, Deserialize)]
pub(crate) struct Tag<'a> {
    pub(crate) id: i64,
    #[serde(borrow)]
    pub(crate) name: Cow<'a, str>,
}

/// What a tool for one tag answers.
#[derive(Debug, Deserialize)]
pub(crate) struct OneTag<'a> {
    #[serde(borrow)]
    pub(crate) tag: Tag<'a>,
}

/// What lists of tags answer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TagPage<'a> {
    #[serde(borrow)]
    pub(crate) tags: Vec<Tag<'a>>,
    #[serde(borrow)]
    pub(crate) next_cursor: Option<Cow<'a, str>>,
}

/// What a list of the protocol has under its name.
pub(crate) fn has_list(result: &[u8], method: &str) -> bool {
    let name: &[u8] = match method {
        "tools/list" => b"tools",
        "prompts/list" => b"prompts",
        "resources/list" => b"resources",
        "resources/templates/list" => b"resourceTemplates",
        _ => return true,
    };
    matches!(scan::members(result, [name]), Ok([Some(list)])
        if serde_json::from_slice::<Vec<IgnoredAny>>(list).is_ok())
}

/// Reads data of a tool, or says that it is not what it should be.
pub(crate) fn read<'a, T: Deserialize<'a>>(data: &'a [u8]) -> Result<T, Failure> {
    serde_json::from_slice(data).map_err(|error| {
        let text = String::from_utf8_lossy(&data[..data.len().min(200)]).into_owned();
        Failure::new(Kind::WrongData, format!("{error}: {text}"))
    })
}

/// The word that stands in whatever a user writes in this run: what follows the run's own word is the user's number. It has no
/// character that JSON escapes or a search splits.
pub(crate) struct Marker {
    run: Finder<'static>,
    word: String,
}

impl Marker {
    /// `run` is letters and digits, and of no other run.
    pub(crate) fn of(run: &str, user: usize) -> Self {
        let begin = format!("load{run}u");
        Self {
            word: format!("{begin}{user}"),
            run: Finder::new(begin.as_bytes()).into_owned(),
        }
    }

    pub(crate) fn word(&self) -> &str {
        &self.word
    }

    /// Refuses an answer that has another user's word in it. Looks at bytes alone, so it is cheap enough for every answer.
    pub(crate) fn check_owner(&self, body: &[u8]) -> Result<(), Failure> {
        let own = self.word.as_bytes();
        for at in self.run.find_iter(body) {
            let is_own = body[at..].starts_with(own)
                && !body.get(at + own.len()).is_some_and(u8::is_ascii_digit);
            if !is_own {
                let there = &body[at..body.len().min(at + own.len() + 20)];
                let words = format!("{} was given {}", self.word, String::from_utf8_lossy(there));
                return Err(Failure::new(Kind::ForeignData, words));
            }
        }
        Ok(())
    }

    /// Whether the title of what was written under a number stands in an answer, in whatever text.
    pub(crate) fn names(&self, body: &[u8], number: usize) -> bool {
        let title = format!("{} {number}", self.word);
        let mut found = find_iter(body, title.as_bytes());
        found.any(|at| !body.get(at + title.len()).is_some_and(u8::is_ascii_digit))
    }

    /// The number of what was written under this word, by its title or name.
    pub(crate) fn number(&self, title: &str) -> Option<usize> {
        title
            .strip_prefix(&self.word)?
            .strip_prefix(' ')?
            .parse()
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(body: &str) -> Kind {
        result(body.as_bytes(), 7).unwrap_err().kind
    }

    #[test]
    fn an_answer_is_the_one_to_the_request_with_a_result() {
        let good = br#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"\"isError\":true"}]}}"#;
        assert!(result(good, 7).unwrap().starts_with(b"{\"content\""));
        for (body, expected) in [
            (r#"{"jsonrpc":"2.0","id":8,"result":{}}"#, Kind::WrongId),
            (r#"{"jsonrpc":"2.0","id":"7","result":{}}"#, Kind::WrongId),
            (r#"{"jsonrpc":"2.0","id":7}"#, Kind::Malformed),
            (r#"{"jsonrpc":"2.0","result":{}}"#, Kind::Malformed),
            ("<html>", Kind::Malformed),
            (r#"{"id":7,"result":{"isError": true}}"#, Kind::Tool),
            (
                r#"{"id":7,"result":{"resultType":"input_required"}}"#,
                Kind::WrongData,
            ),
            (
                r#"{"id":7,"error":{"code":-32603,"message":"no"}}"#,
                Kind::Rpc(-32603),
            ),
            (
                r#"{"id":null,"error":{"code":-32700,"message":"no"}}"#,
                Kind::Rpc(-32700),
            ),
            (
                r#"{"id":9,"error":{"code":-32603,"message":"no"}}"#,
                Kind::WrongId,
            ),
            (r#"{"id":7,"error":"no"}"#, Kind::Malformed),
        ] {
            assert_eq!(kind(body), expected, "{body}");
        }
    }

    #[test]
    fn a_whole_look_sees_what_a_cheap_one_does_not() {
        let broken = br#"{"jsonrpc":"2.0","id":7,"result":{"a":[nonsense]}}"#;
        assert!(result(broken, 7).is_ok());
        assert!(check_whole(broken, false).is_err());
        let without = br#"{"jsonrpc":"2.0","id":7,"result":{"a":[]}}"#;
        assert!(check_whole(without, false).is_ok());
        assert!(check_whole(without, true).is_err());
        let with = br#"{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete"}}"#;
        assert!(check_whole(with, true).is_ok());
        assert!(check_whole(br#"{"jsonrpc":"1.0","id":7,"result":{}}"#, false).is_err());
    }

    #[test]
    fn data_is_structured_or_the_last_text() {
        let structured = br#"{"content":[],"structuredContent":{"entry":{"id":1,"title":"a"}}}"#;
        let oldest = br#"{"content":[{"type":"text","text":"Created."},{"type":"text","text":"{\"entry\":{\"id\":1,\"title\":\"a\"}}"}]}"#;
        for result in [&structured[..], oldest] {
            let data = data(result).unwrap();
            let one: OneEntry<'_> = read(&data).unwrap();
            assert_eq!((one.entry.id, &*one.entry.title), (1, "a"));
        }
        assert_eq!(data(b"{\"content\":[]}").unwrap_err().kind, Kind::WrongData);
    }

    #[test]
    fn anothers_word_is_found_wherever_it_stands() {
        let marker = Marker::of("ab12", 1);
        assert_eq!(marker.word(), "loadab12u1");
        assert!(marker.check_owner(b"loadab12u1 7, loadab12u1").is_ok());
        assert!(
            marker.check_owner(b"loadother0u2 7").is_ok(),
            "of another run"
        );
        for foreign in ["loadab12u2 7", "loadab12u1 1, loadab12u12 7", "loadab12u"] {
            let failure = marker.check_owner(foreign.as_bytes()).unwrap_err();
            assert_eq!(failure.kind, Kind::ForeignData, "{foreign}");
        }
        assert!(marker.names(br#"{\"title\":\"loadab12u1 7\"}"#, 7));
        assert!(!marker.names(b"loadab12u1 71, loadab12u1 8", 7));
        assert_eq!(marker.number("loadab12u1 7"), Some(7));
        assert_eq!(marker.number("loadab12u1"), None);
        assert_eq!(marker.number("loadab12u12 7"), None);
    }
}
