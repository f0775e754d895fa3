//! Codes and tokens: how one becomes the other, and how they end.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};

use super::{Code, Family, Store};
use crate::{
    answer::OAuthError,
    details::Details,
    dpop::{self, Proof},
    grants::{
        CodeGrant, DeviceRedemption, Grant, Issued, Kind, Lifetimes, Redemption, Refreshment, Token,
    },
    resource,
    secret::{self, Digest},
    settings::TokenFormat,
};

impl Store {
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
            self.touch();
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
        let details = grant.details.narrow(asked.details.clone())?;
        let family = self.new_family();
        let consent = Grant {
            subject: grant.subject.clone(),
            client_id: grant.client_id.clone(),
            scope: grant.scopes.to_text(),
            audience: grant.resources.clone(),
            details: grant.details.clone(),
            format: self.writer.format,
            key: asked.key.map(str::to_owned),
        };
        let access = Grant {
            audience,
            details,
            ..consent.clone()
        };
        let consent = grant.refreshable.then(|| Arc::new(consent));
        let consent = consent.map(|consent| (consent, secret::random("epr_")));
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

    /// Turns the code of a device into tokens, once, if a person allowed that (RFC 8628 §3.5).
    pub(crate) fn redeem_device(
        &mut self,
        asked: &DeviceRedemption<'_>,
        now: DateTime<Utc>,
    ) -> Result<Issued, OAuthError> {
        let (request, subject, scopes) = self.devices.take(asked.code, asked.client_id, now)?;
        let audience = resource::narrow(&request.resources, asked.resources.iter().copied())?;
        let consent = Grant {
            subject,
            client_id: asked.client_id.to_owned(),
            scope: scopes.to_text(),
            audience: request.resources.clone(),
            details: Details::default(),
            format: self.writer.format,
            key: asked.key.map(str::to_owned),
        };
        let access = Grant {
            audience,
            ..consent.clone()
        };
        let family = self.new_family();
        let consent = asked
            .refreshable
            .then(|| (Arc::new(consent), secret::random("epr_")));
        Ok(self.issue_pair(family, access, consent, now))
    }

    /// Turns a refresh token into a new pair. A second use soon after gives the same refresh token again, for clients refresh
    /// several times at once. One later means that two parties hold it, and since nobody can say which is the thief, the whole
    /// family ends (RFC 9700 §4.14.2).
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
        let consent = Arc::clone(&consent.grant);
        if let Kind::SpentRefresh { at } = token.kind
            && now >= at + self.lifetimes.grace
        {
            self.families.remove(&token.family);
            self.touch();
            return Err(unknown());
        }
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
            details: consent.details.narrow(asked.details.clone())?,
            key: asked.key.map(str::to_owned),
            ..(*consent).clone()
        };
        let successor = self.successors.of(asked.token);
        if token.is_spent() {
            let is_there = self.look_up(successor.expose_secret(), now).is_some()
                || self.is_spent(&successor, now);
            return is_there
                .then(|| self.issue_again(token.family, access, successor, now))
                .ok_or_else(unknown);
        }
        let (family, expires) = (token.family, token.expires);
        let spent = Token {
            kind: Kind::SpentRefresh { at: now },
            ..token
        };
        self.tokens.insert(key, spent, expires, now);
        Ok(self.issue_pair(family, access, Some((consent, successor)), now))
    }

    /// Whether this refresh token was used, and is remembered.
    fn is_spent(&self, token: &SecretString, now: DateTime<Utc>) -> bool {
        let token = self.tokens.get(&Digest::of(token.expose_secret()), now);
        token.is_some_and(Token::is_spent)
    }

    /// One more access token beside a refresh token that was given before.
    fn issue_again(
        &mut self,
        family: u64,
        access: Grant,
        refresh_token: SecretString,
        now: DateTime<Utc>,
    ) -> Issued {
        let lifetime = self.lifetimes.access;
        let (scope, is_bound) = (access.scope.clone(), access.key.is_some());
        let details = access.details.clone();
        let access_token = self.add_access_token(family, Arc::new(access), lifetime, now);
        self.touch();
        Issued {
            access_token,
            refresh_token: Some(refresh_token),
            scope,
            details,
            is_bound,
            lifetime,
        }
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
        let kept = Family {
            grant: Arc::clone(&grant),
            is_lasting: false,
        };
        self.families.insert(family, kept, now + lifetime, now);
        self.add_access_token(family, grant, lifetime, now)
    }

    /// How long a device may be waited for.
    pub(crate) fn device_lifetime(&self) -> TimeDelta {
        self.lifetimes.device
    }

    /// How long access tokens live by default.
    pub(crate) fn access_lifetime(&self) -> TimeDelta {
        self.lifetimes.access
    }

    fn issue_pair(
        &mut self,
        family: u64,
        access: Grant,
        refreshable: Option<(Arc<Grant>, SecretString)>,
        now: DateTime<Utc>,
    ) -> Issued {
        let Lifetimes {
            access: short,
            refresh: long,
            ..
        } = self.lifetimes;
        let access = Arc::new(access);
        let (scope, is_bound) = (access.scope.clone(), access.key.is_some());
        let details = access.details.clone();
        let (of_family, lives) = match &refreshable {
            Some((consent, _)) => (consent, long.max(short)),
            None => (&access, short),
        };
        let kept = Family {
            grant: Arc::clone(of_family),
            is_lasting: true,
        };
        self.families.insert(family, kept, now + lives, now);
        let access_token = self.add_access_token(family, access, short, now);
        let refresh_token = refreshable.map(|(grant, token)| {
            let expires = now + long;
            let kept = Token {
                kind: Kind::Refresh,
                grant,
                issued: now,
                expires,
                jti: None,
                family,
            };
            self.tokens
                .insert(Digest::of(token.expose_secret()), kept, expires, now);
            token
        });
        self.touch();
        Issued {
            access_token,
            refresh_token,
            scope,
            details,
            is_bound,
            lifetime: short,
        }
    }

    fn add_access_token(
        &mut self,
        family: u64,
        grant: Arc<Grant>,
        lifetime: TimeDelta,
        now: DateTime<Utc>,
    ) -> SecretString {
        let expires = now + lifetime;
        // Refresh tokens are for this server alone, so nobody has to be able to read them; these may be signed.
        let is_jwt = grant.format == TokenFormat::Jwt;
        let kept = Token {
            kind: Kind::Access,
            grant,
            issued: now,
            expires,
            jti: is_jwt.then(secret::random_name),
            family,
        };
        let token = self.writer.write("epa_", &kept);
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
        !token.is_spent() && self.families.get(&token.family, now).is_some()
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
        self.touch();
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
                details: grant.details.clone(),
                format: TokenFormat::default(),
                key: None,
            })
        });
        self.devices.remove_where(|subject, client_id| {
            pick(&Grant {
                subject: subject.to_owned(),
                client_id: client_id.to_owned(),
                scope: String::new(),
                audience: Vec::new(),
                details: Details::default(),
                format: TokenFormat::default(),
                key: None,
            })
        });
        self.touch();
        self.families.remove_where(|family| pick(&family.grant))
    }
}
