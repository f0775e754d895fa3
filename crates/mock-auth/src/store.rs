//! All that the server keeps, in maps of a fixed size. It reads no clock: every call names the time. Secrets are kept as digests.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    answer::OAuthError,
    authorize::Step,
    bounded::Bounded,
    client::Client,
    dpop::{self, Proof},
    grants::{CodeGrant, Grant, Issued, Kind, Lifetimes, Redemption, Refreshment, Token},
    resource,
    secret::{self, Digest},
    settings::TokenFormat,
    signing::Writer,
};

struct Code {
    grant: CodeGrant,
    /// The family of the tokens that it was redeemed for, once it was.
    redeemed: Option<u64>,
}

struct OpenPage {
    browser: Digest,
    step: Step,
}

pub(crate) struct Store {
    pub(crate) writer: Writer,
    lifetimes: Lifetimes,
    clients: Bounded<String, Arc<Client>>,
    documents: Bounded<String, Arc<Client>>,
    pages: Bounded<Digest, OpenPage>,
    codes: Bounded<Digest, Code>,
    /// The families that nobody revoked. A token whose family is not here is dead.
    families: Bounded<u64, Arc<Grant>>,
    tokens: Bounded<Digest, Token>,
    /// The proofs that were used and are not too old yet (RFC 9449 §11.1).
    proofs: Bounded<Digest, ()>,
    next_family: u64,
}

impl Store {
    pub(crate) fn new(lifetimes: Lifetimes, writer: Writer) -> Self {
        Self {
            writer,
            lifetimes,
            clients: Bounded::new(2_000),
            documents: Bounded::new(200),
            pages: Bounded::new(1_000),
            codes: Bounded::new(10_000),
            families: Bounded::new(100_000),
            tokens: Bounded::new(200_000),
            proofs: Bounded::new(10_000),
            next_family: 0,
        }
    }

    // Clients

    pub(crate) fn register(&mut self, client: Client, now: DateTime<Utc>) {
        let expires = now + Lifetimes::REGISTRATION;
        self.clients
            .insert(client.id.clone(), Arc::new(client), expires, now);
    }

    pub(crate) fn keep_document(&mut self, client: Arc<Client>, now: DateTime<Utc>) {
        let expires = now + Lifetimes::DOCUMENT;
        self.documents
            .insert(client.id.clone(), client, expires, now);
    }

    pub(crate) fn client(&self, id: &str, now: DateTime<Utc>) -> Option<Arc<Client>> {
        self.clients
            .get(id, now)
            .or_else(|| self.documents.get(id, now))
            .cloned()
    }

    pub(crate) fn clients(&self, now: DateTime<Utc>) -> usize {
        self.clients.len(now)
    }

    // Pages

    /// Remembers what a page is about to be posted for, and by which browser.
    pub(crate) fn open_page(
        &mut self,
        browser: &SecretString,
        step: Step,
        now: DateTime<Utc>,
    ) -> SecretString {
        let handle = secret::random("page_");
        let page = OpenPage {
            browser: Digest::of(browser.expose_secret()),
            step,
        };
        let key = Digest::of(handle.expose_secret());
        self.pages.insert(key, page, now + Lifetimes::PAGE, now);
        handle
    }

    /// Takes a page's request, once, if it is this browser's. A stranger's try does not use it up.
    pub(crate) fn take_page(
        &mut self,
        handle: &str,
        browser: &str,
        now: DateTime<Utc>,
    ) -> Option<Step> {
        let key = Digest::of(handle);
        let page = self.pages.get(&key, now)?;
        if !page.browser.matches(&Digest::of(browser)) {
            return None;
        }
        self.pages.remove(&key).map(|page| page.step)
    }

    // Codes

    pub(crate) fn issue_code(&mut self, grant: CodeGrant, now: DateTime<Utc>) -> SecretString {
        let code = secret::random("epc_");
        let kept = Code {
            grant,
            redeemed: None,
        };
        let expires = now + self.lifetimes.code;
        self.codes
            .insert(Digest::of(code.expose_secret()), kept, expires, now);
        code
    }

    /// Turns a code into tokens, once. A second use ends the tokens of the first (RFC 6749 §4.1.2), and
    /// a try with the wrong verifier or redirect URI uses the code up: whoever makes it has stolen it.
    pub(crate) fn redeem(
        &mut self,
        asked: &Redemption<'_>,
        now: DateTime<Utc>,
    ) -> Result<Issued, OAuthError> {
        let key = Digest::of(asked.code);
        let unknown = || OAuthError::invalid_grant("the code is unknown, expired or used");
        let code = self.codes.get(&key, now).ok_or_else(unknown)?;
        if let Some(family) = code.redeemed {
            self.families.remove(&family);
            return Err(unknown());
        }
        if code.grant.client_id != asked.client_id {
            return Err(unknown());
        }
        let grant = self.codes.remove(&key).ok_or_else(unknown)?.grant;
        if grant.redirect_uri.is_some() && grant.redirect_uri.as_deref() != asked.redirect_uri {
            let same = "redirect_uri has to be the one of the authorization request";
            return Err(OAuthError::invalid_grant(same));
        }
        if !grant.challenge.is_met_by(asked.verifier) {
            let other = "code_verifier does not fit the code_challenge";
            return Err(OAuthError::invalid_grant(other));
        }
        let audience = resource::narrow(&grant.resources, asked.resources.iter().copied())?;
        let family = self.new_family();
        let consent = Grant {
            subject: grant.subject.clone(),
            client_id: grant.client_id.clone(),
            scope: grant.scopes.to_text(),
            audience: grant.resources.clone(),
            format: self.writer.format,
            key: asked.key.map(str::to_owned),
        };
        let access = Grant {
            audience,
            ..consent.clone()
        };
        let consent = grant.refreshable.then(|| Arc::new(consent));
        let issued = self.issue_pair(family, access, consent, now);
        // Kept for as long as its first access token lives, so that a replay is recognised.
        let used = Code {
            grant,
            redeemed: Some(family),
        };
        let expires = now + self.lifetimes.access.max(self.lifetimes.code);
        self.codes.insert(key, used, expires, now);
        Ok(issued)
    }

    // Tokens

    /// Turns a refresh token into a new pair, once. A second use means that two parties hold it, and
    /// since nobody can say which is the thief, the whole family ends (RFC 9700 §4.14.2).
    pub(crate) fn refresh(
        &mut self,
        asked: &Refreshment<'_>,
        now: DateTime<Utc>,
    ) -> Result<Issued, OAuthError> {
        let key = Digest::of(asked.token);
        let unknown = || OAuthError::invalid_grant("the refresh token is unknown, expired or used");
        let token = self.tokens.get(&key, now).ok_or_else(unknown)?.clone();
        let consent = self.families.get(&token.family, now).ok_or_else(unknown)?;
        if token.kind == Kind::Access || token.grant.client_id != asked.client_id {
            return Err(unknown());
        }
        if token.kind == Kind::SpentRefresh {
            self.families.remove(&token.family);
            return Err(unknown());
        }
        let consent = Arc::clone(consent);
        match (&consent.key, asked.key) {
            (None, _) => {}
            (Some(_), None) => return Err(dpop::refused("the refresh token is bound to a key")),
            (Some(bound), Some(key)) if bound == key => {}
            (Some(_), Some(_)) => return Err(unknown()),
        }
        let scope = match &asked.scopes {
            Some(scopes) if scopes.are_in(&consent.scope) => scopes.to_text(),
            Some(_) => {
                let wider = "a refresh may narrow the scope that was granted, not widen it";
                return Err(OAuthError::invalid_scope(wider));
            }
            None => consent.scope.clone(),
        };
        let access = Grant {
            scope,
            audience: resource::narrow(&consent.audience, asked.resources.iter().copied())?,
            key: asked.key.map(str::to_owned),
            ..(*consent).clone()
        };
        let expires = token.expires;
        let spent = Token {
            kind: Kind::SpentRefresh,
            ..token
        };
        let family = spent.family;
        self.tokens.insert(key, spent, expires, now);
        Ok(self.issue_pair(family, access, Some(consent), now))
    }

    /// Whether a proof is used for the first time. From now on it was.
    pub(crate) fn use_proof(&mut self, proof: &Proof, now: DateTime<Utc>) -> bool {
        let is_new = self.proofs.get(&proof.id, now).is_none();
        self.proofs.insert(proof.id, (), proof.expires, now);
        is_new
    }

    /// Issues an access token that nothing descends from.
    pub(crate) fn issue(
        &mut self,
        grant: Grant,
        lifetime: TimeDelta,
        now: DateTime<Utc>,
    ) -> SecretString {
        let family = self.new_family();
        let grant = Arc::new(grant);
        let expires = now + lifetime;
        self.families
            .insert(family, Arc::clone(&grant), expires, now);
        self.add_token("epa_", Kind::Access, family, grant, lifetime, now)
    }

    /// How long access tokens live by default.
    pub(crate) fn access_lifetime(&self) -> TimeDelta {
        self.lifetimes.access
    }

    fn issue_pair(
        &mut self,
        family: u64,
        access: Grant,
        consent: Option<Arc<Grant>>,
        now: DateTime<Utc>,
    ) -> Issued {
        let Lifetimes {
            access: short,
            refresh: long,
            ..
        } = self.lifetimes;
        let access = Arc::new(access);
        let (scope, is_bound) = (access.scope.clone(), access.key.is_some());
        let (of_family, lives) = match &consent {
            Some(consent) => (consent, long.max(short)),
            None => (&access, short),
        };
        self.families
            .insert(family, Arc::clone(of_family), now + lives, now);
        let access_token = self.add_token("epa_", Kind::Access, family, access, short, now);
        let refresh_token = consent
            .map(|consent| self.add_token("epr_", Kind::Refresh, family, consent, long, now));
        Issued {
            access_token,
            refresh_token,
            scope,
            is_bound,
            lifetime: short,
        }
    }

    fn add_token(
        &mut self,
        prefix: &str,
        kind: Kind,
        family: u64,
        grant: Arc<Grant>,
        lifetime: TimeDelta,
        now: DateTime<Utc>,
    ) -> SecretString {
        let expires = now + lifetime;
        // Refresh tokens are for this server alone, so nobody has to be able to read them.
        let is_jwt = kind == Kind::Access && grant.format == TokenFormat::Jwt;
        let kept = Token {
            kind,
            grant,
            issued: now,
            expires,
            jti: is_jwt.then(secret::random_name),
            family,
        };
        let token = self.writer.write(prefix, &kept);
        self.tokens
            .insert(Digest::of(token.expose_secret()), kept, expires, now);
        token
    }

    fn new_family(&mut self) -> u64 {
        self.next_family += 1;
        self.next_family
    }

    /// The token, if it is good for anything now.
    pub(crate) fn look_up(&self, token: &str, now: DateTime<Utc>) -> Option<(Digest, &Token)> {
        let digest = Digest::of(token);
        let token = self.tokens.get(&digest, now)?;
        self.is_live(token, now).then_some((digest, token))
    }

    /// The live tokens, youngest first.
    pub(crate) fn live_tokens(
        &self,
        now: DateTime<Utc>,
    ) -> impl Iterator<Item = (&Digest, &Token)> {
        self.tokens
            .youngest(now)
            .filter(move |(_, token)| self.is_live(token, now))
    }

    fn is_live(&self, token: &Token, now: DateTime<Utc>) -> bool {
        token.kind != Kind::SpentRefresh && self.families.get(&token.family, now).is_some()
    }

    /// Ends a token; with a refresh token, all that descends from the same consent (RFC 7009 §2.1).
    pub(crate) fn revoke(&mut self, token: &str) -> bool {
        self.revoke_digest(&Digest::of(token))
    }

    /// The same, at the wish of a client. It may end its own tokens only; a spent refresh token is its
    /// own, too.
    pub(crate) fn revoke_for(
        &mut self,
        client_id: &str,
        token: &str,
        now: DateTime<Utc>,
    ) -> Result<bool, OAuthError> {
        let digest = Digest::of(token);
        if let Some(token) = self.tokens.get(&digest, now)
            && token.grant.client_id != client_id
        {
            let foreign = "the token was issued to another client";
            return Err(OAuthError::invalid_grant(foreign));
        }
        Ok(self.revoke_digest(&digest))
    }

    /// Ends the token that goes by this id.
    pub(crate) fn revoke_id(&mut self, id: &str, now: DateTime<Utc>) -> bool {
        let found = self
            .tokens
            .youngest(now)
            .find(|(digest, _)| digest.id() == id)
            .map(|(digest, _)| *digest);
        found.is_some_and(|digest| self.revoke_digest(&digest))
    }

    fn revoke_digest(&mut self, digest: &Digest) -> bool {
        let Some(token) = self.tokens.remove(digest) else {
            return false;
        };
        if token.kind != Kind::Access {
            self.families.remove(&token.family);
        }
        true
    }

    /// Ends every grant that the predicate picks, and says how many that were.
    pub(crate) fn revoke_where(&mut self, pick: impl Fn(&Grant) -> bool) -> usize {
        self.codes.remove_where(|code| {
            let grant = &code.grant;
            pick(&Grant {
                subject: grant.subject.clone(),
                client_id: grant.client_id.clone(),
                scope: grant.scopes.to_text(),
                audience: grant.resources.clone(),
                format: TokenFormat::default(),
                key: None,
            })
        });
        self.families.remove_where(|grant| pick(grant))
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
