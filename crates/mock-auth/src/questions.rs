//! The two pages on which a person answers: who are you, and what may the client do?

use std::fmt::Write as _;

use actix_web::{HttpResponse, http::StatusCode};

use crate::{
    html::Escaped,
    pages::{Handle, Page},
    paths,
    question::Question,
    redirect,
    scopes::Grantable,
    user::User,
};

/// Page 1: who is there?
pub(crate) fn sign_in(
    handle: &Handle,
    asked: &Question,
    users: &[User],
    site: &str,
) -> HttpResponse {
    let mut buttons = String::new();
    for user in users {
        let (subject, name) = (Escaped(&user.subject), Escaped(&user.name));
        let initial = user.name.chars().next().unwrap_or('?').to_string();
        let (initial, username) = (Escaped(&initial), Escaped(&user.username));
        writeln!(
            buttons,
            "<button class=\"person\" name=\"user\" value=\"{subject}\">\
             <span class=\"face\" aria-hidden=\"true\">{initial}</span>\
             <span>{name} <span class=\"soft\">{username}</span></span></button>"
        )
        .expect("a String takes whatever is written");
    }
    let main = format!(
        "<h1>Who are you?</h1>\n\
         <p><strong><bdi>{}</bdi></strong> asks for access. Pick a demo user; no password is \
         needed.</p>\n\
         <form method=\"post\" action=\"{}\">\n{}\n\
         <fieldset><legend>Go on as</legend>\n{buttons}</fieldset>\n\
         <div class=\"actions\"><button name=\"decision\" value=\"deny\">Cancel</button></div>\n\
         </form>\n",
        Escaped(name_of(asked)),
        paths::AUTHORIZE,
        handle.field()
    );
    let page = Page {
        way_back: asked.redirect_uri(),
        cookie: Some(&handle.cookie),
        ..Page::plain(StatusCode::OK, "Who are you?", &main)
    };
    page.answer(site)
}

/// The consent page as it stands.
pub(crate) struct Consent<'a> {
    pub(crate) handle: &'a Handle,
    pub(crate) asked: &'a Question,
    pub(crate) grantable: &'a Grantable,
    pub(crate) user: &'a User,
    /// The scopes whose boxes are not ticked.
    pub(crate) unticked: &'a [String],
    pub(crate) reminder: Option<&'a str>,
}

impl Consent<'_> {
    /// Page 2: what may the client do?
    pub(crate) fn answer(&self, site: &str) -> HttpResponse {
        let Self { handle, asked, .. } = self;
        let reminder = self.reminder.map_or_else(String::new, |text| {
            format!(
                "<p class=\"reminder\" role=\"alert\">{}</p>\n",
                Escaped(text)
            )
        });
        let main = format!(
            "<h1>Allow <bdi>{}</bdi> to act for you?</h1>\n\
             <p class=\"soft\">The app gave itself this name; nobody has checked it.</p>\n\
             <dl>\n{}</dl>\n\
             <form method=\"post\" action=\"{}\">\n{}\n{reminder}\
             <fieldset><legend>It wants to</legend>\n{}</fieldset>\n\
             <div class=\"actions\"><button class=\"first\" name=\"decision\" value=\"allow\">Allow</button>\
             <button name=\"decision\" value=\"deny\">Deny</button></div>\n</form>\n",
            Escaped(name_of(asked)),
            self.facts(),
            paths::AUTHORIZE,
            handle.field(),
            self.ticks(),
        );
        let page = Page {
            way_back: asked.redirect_uri(),
            cookie: Some(&handle.cookie),
            ..Page::plain(StatusCode::OK, "Allow access?", &main)
        };
        page.answer(site)
    }

    fn facts(&self) -> String {
        let Self { asked, user, .. } = self;
        let mut facts = String::new();
        let mut fact = |term: &str, detail: &str| {
            writeln!(facts, "<div><dt>{term}</dt><dd>{detail}</dd></div>")
                .expect("a String takes whatever is written");
        };
        let you = format!(
            "{} ({}) <a href=\"{}\">Not you?</a>",
            Escaped(&user.name),
            Escaped(&user.username),
            self.handle.address(paths::SIGN_IN)
        );
        fact("You are", &you);
        match asked {
            Question::Authorization(asked) => {
                let place = redirect::place(&asked.way_back.redirect_uri);
                fact("Sends you to", &Escaped(&place).to_string());
                for detail in asked.details.iter() {
                    let detail = detail.to_string();
                    fact("In detail", &format!("<code>{}</code>", Escaped(&detail)));
                }
            }
            Question::Device(asked) => {
                let code = Escaped(&asked.user_code);
                fact("Device shows", &format!("<code>{code}</code>"));
            }
        }
        if let Some(host) = &asked.client().document_host {
            fact("Vouched for by", &Escaped(host).to_string());
        }
        for resource in asked.resources() {
            fact("For use at", &Escaped(resource).to_string());
        }
        facts
    }

    fn ticks(&self) -> String {
        let offered = self.asked.scopes().cloned();
        let offered = offered.unwrap_or_else(|| self.grantable.all());
        let mut ticks = String::new();
        for scope in self
            .grantable
            .iter()
            .filter(|scope| offered.contains(&scope.name))
        {
            let is_unticked = self.unticked.contains(&scope.name);
            let checked = if is_unticked { "" } else { " checked" };
            let before = if is_unticked {
                " <span class=\"soft\">You left this out before; tick it if the app is to have it now.</span>"
            } else {
                ""
            };
            let (class, mark) = if scope.is_dangerous {
                let words = "Careful: what this changes or deletes does not come back.";
                (
                    "tick danger",
                    format!(" <strong class=\"mark\">{words}</strong>"),
                )
            } else {
                ("tick", String::new())
            };
            let (scope, words) = (Escaped(&scope.name), Escaped(&scope.description));
            writeln!(
                ticks,
                "<label class=\"{class}\"><input type=\"checkbox\" name=\"scope\" value=\"{scope}\"{checked}>\
                 <span>{words}{mark}{before} <code>{scope}</code></span></label>"
            )
            .expect("a String takes whatever is written");
        }
        ticks
    }
}

fn name_of(asked: &Question) -> &str {
    let name = asked.client().name.as_deref().map(str::trim);
    name.filter(|name| !name.is_empty())
        .unwrap_or("An app without a name")
}
