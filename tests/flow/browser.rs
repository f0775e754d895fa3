//! A browser without a screen: it keeps cookies, reads forms, and follows redirects within a site but none that leads out.

use std::collections::BTreeMap;

use reqwest::{Response, StatusCode, header, redirect::Policy};
use url::Url;

/// One browser: what it visits knows it by its cookies.
pub(crate) struct Browser {
    http: reqwest::Client,
    cookies: BTreeMap<String, String>,
}

/// Where a click leads.
pub(crate) enum Arrived {
    /// Another page of the same site.
    Page(Page),
    /// Out of the site: an app's redirect URI, which nobody opens here.
    Away(Url),
}

/// A page that was opened.
pub(crate) struct Page {
    url: Url,
    html: String,
}

/// A form as it stands when the page has just been opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    action: String,
    fields: Vec<Field>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    kind: Kind,
    name: String,
    value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sent,
    Tick { ticked: bool },
    Button,
}

impl Browser {
    pub(crate) fn new() -> Self {
        Self {
            http: reqwest::Client::builder()
                .redirect(Policy::none())
                .no_proxy()
                .build()
                .unwrap(),
            cookies: BTreeMap::new(),
        }
    }

    /// Opens an address that somebody else gave, as a click on a link does.
    pub(crate) async fn open(&mut self, url: &str) -> Arrived {
        let url = Url::parse(url).unwrap();
        let request = self.http.get(url.clone());
        let response = self.with_cookies(request).send().await.unwrap();
        self.arrive(url, response).await
    }

    /// Presses a button of a page's form.
    pub(crate) async fn press(
        &mut self,
        page: &Page,
        form: &Form,
        button: (&str, &str),
    ) -> Arrived {
        let url = page.url.join(&form.action).unwrap();
        let request = self
            .http
            .post(url.clone())
            .header(header::ORIGIN, page.url.origin().ascii_serialization())
            .header("sec-fetch-site", "same-origin")
            .form(&form.filled_in(button));
        let response = self.with_cookies(request).send().await.unwrap();
        self.arrive(url, response).await
    }

    fn with_cookies(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        if self.cookies.is_empty() {
            return request;
        }
        let pairs: Vec<_> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        request.header(header::COOKIE, pairs.join("; "))
    }

    async fn arrive(&mut self, mut url: Url, mut response: Response) -> Arrived {
        // A post is answered by a redirect to the next page.
        for _redirect in 0..5 {
            for cookie in response.headers().get_all(header::SET_COOKIE) {
                let pair = cookie.to_str().unwrap().split(';').next().unwrap();
                let (name, value) = pair.split_once('=').unwrap();
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
            if response.status() != StatusCode::SEE_OTHER {
                break;
            }
            let location = response.headers()[header::LOCATION].to_str().unwrap();
            let target = url.join(location).unwrap();
            if target.origin() != url.origin() {
                return Arrived::Away(target);
            }
            let request = self.http.get(target.clone());
            response = self.with_cookies(request).send().await.unwrap();
            url = target;
        }
        let status = response.status();
        let html = response.text().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{html}");
        Arrived::Page(Page { url, html })
    }
}

impl Arrived {
    pub(crate) fn page(self) -> Page {
        match self {
            Self::Page(page) => page,
            Self::Away(url) => panic!("no page, but a redirect to {url}"),
        }
    }

    pub(crate) fn away(self) -> Url {
        match self {
            Self::Away(url) => url,
            Self::Page(page) => panic!("no redirect, but a page: {}", page.html),
        }
    }
}

impl Page {
    /// The one form of the page.
    pub(crate) fn form(&self) -> Form {
        let mut forms = forms(&self.html);
        assert_eq!(forms.len(), 1, "{}", self.html);
        forms.remove(0)
    }

    pub(crate) fn says(&self, words: &str) -> bool {
        self.html.contains(words)
    }
}

impl Form {
    /// The values of the boxes of this name, ticked or not.
    pub(crate) fn boxes(&self, name: &str) -> Vec<&str> {
        self.fields
            .iter()
            .filter(|field| field.name == name && matches!(field.kind, Kind::Tick { .. }))
            .map(|field| field.value.as_str())
            .collect()
    }

    pub(crate) fn untick(&mut self, name: &str, value: &str) {
        self.turn(name, value, true);
    }

    /// Ticks a box that was not.
    pub(crate) fn tick(&mut self, name: &str, value: &str) {
        self.turn(name, value, false);
    }

    fn turn(&mut self, name: &str, value: &str, ticked: bool) {
        let field = self
            .fields
            .iter_mut()
            .find(|field| {
                field.name == name && field.value == value && field.kind == Kind::Tick { ticked }
            })
            .unwrap_or_else(|| panic!("there is no box {name}={value}, ticked: {ticked}"));
        field.kind = Kind::Tick { ticked: !ticked };
    }

    /// What is sent when this button is pressed: the fields, the ticked boxes, and no other button.
    fn filled_in(&self, button: (&str, &str)) -> Vec<(String, String)> {
        let pressed = |field: &Field| (field.name.as_str(), field.value.as_str()) == button;
        assert!(
            self.fields
                .iter()
                .any(|field| field.kind == Kind::Button && pressed(field)),
            "there is no button {button:?} in {self:?}"
        );
        self.fields
            .iter()
            .filter(|field| match field.kind {
                Kind::Sent => true,
                Kind::Tick { ticked } => ticked,
                Kind::Button => pressed(field),
            })
            .map(|field| (field.name.clone(), field.value.clone()))
            .collect()
    }
}

/// The forms of a page, in order.
fn forms(html: &str) -> Vec<Form> {
    let mut forms = Vec::new();
    let mut open: Option<Form> = None;
    for tag in tags(html) {
        match (tag.name.as_str(), &mut open) {
            ("form", _) => {
                assert_eq!(tag.get("method"), Some("post"), "forms are posted here");
                open = Some(Form {
                    action: tag.get("action").unwrap_or_default().to_owned(),
                    fields: Vec::new(),
                });
            }
            ("/form", _) => forms.extend(open.take()),
            ("input" | "button", Some(form)) => {
                let Some(name) = tag.get("name") else {
                    continue;
                };
                let kind = match (tag.name.as_str(), tag.get("type")) {
                    ("button", _) | ("input", Some("submit")) => Kind::Button,
                    ("input", Some("checkbox")) => Kind::Tick {
                        ticked: tag.get("checked").is_some(),
                    },
                    _ => Kind::Sent,
                };
                form.fields.push(Field {
                    kind,
                    name: name.to_owned(),
                    value: tag.get("value").unwrap_or_default().to_owned(),
                });
            }
            _ => {}
        }
    }
    forms
}

struct Tag {
    name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    fn get(&self, name: &str) -> Option<&str> {
        let attribute = self.attributes.iter().find(|(known, _)| known == name);
        attribute.map(|(_, value)| value.as_str())
    }
}

/// The tags of a page, in order; a quoted attribute may hold any character.
fn tags(html: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        let end = rest
            .find(|c: char| c.is_whitespace() || c == '>')
            .unwrap_or(rest.len());
        let name = rest[..end].to_ascii_lowercase();
        rest = &rest[end..];
        let mut attributes = Vec::new();
        loop {
            rest = rest.trim_start();
            if rest.is_empty() || rest.starts_with('>') {
                break;
            }
            let end = rest
                .find(|c: char| c.is_whitespace() || c == '>' || c == '=')
                .unwrap_or(rest.len());
            let attribute = rest[..end].to_ascii_lowercase();
            rest = &rest[end..];
            let value = match rest.strip_prefix("=\"") {
                Some(quoted) => {
                    let (value, after) = quoted.split_once('"').expect("a closed attribute");
                    rest = after;
                    unescaped(value)
                }
                None => {
                    assert!(!rest.starts_with('='), "an attribute without quotes");
                    String::new()
                }
            };
            attributes.push((attribute, value));
        }
        tags.push(Tag { name, attributes });
    }
    tags
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}

#[test]
fn a_form_sends_its_fields_its_ticks_and_the_pressed_button() {
    let html = r#"<p class="a>b">x</p><form method="post" action="/go?a=1&amp;b=2">
        <input type="hidden" name="page" value="&quot;h&#39;&amp;lt;">
        <input type="checkbox" name="scope" value="a" checked><input type="checkbox" name="scope" value="b">
        <button name="do" value="yes">Yes</button><button name="do" value="no">No</button></form>"#;
    let mut forms = forms(html);
    let form = &mut forms[0];
    assert_eq!(form.action, "/go?a=1&b=2");
    assert_eq!(form.boxes("scope"), ["a", "b"]);
    let sent = form.filled_in(("do", "no"));
    let expected = [("page", "\"h'&lt;"), ("scope", "a"), ("do", "no")];
    assert_eq!(
        sent,
        expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    form.untick("scope", "a");
    assert_eq!(form.filled_in(("do", "yes")).len(), 2);
}
