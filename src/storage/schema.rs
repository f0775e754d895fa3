//! The tables as the compiler knows them; `tests/migrations.rs` compares them with the database.

/// PostgreSQL types that Diesel has no name for.
pub(super) mod sql_types {
    /// `tsvector`: never read by the application, which writes and searches it only.
    #[derive(diesel::query_builder::QueryId, diesel::sql_types::SqlType)]
    #[diesel(postgres_type(oid = 3614, array_oid = 3643))]
    pub struct Tsvector;
}

diesel::table! {
    users (id) {
        id -> Uuid,
        issuer -> Text,
        subject -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    usage (user_id) {
        user_id -> Uuid,
        entries -> BigInt,
        bytes -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Bool, Integer, Nullable, SmallInt, Text, Timestamptz, Uuid};
    use crate::storage::schema::sql_types::Tsvector;

    entries (user_id, id) {
        id -> BigInt,
        user_id -> Uuid,
        title -> Text,
        content -> Text,
        mood -> Nullable<Text>,
        location -> Nullable<Text>,
        weather -> Nullable<Text>,
        is_private -> Bool,
        is_favorite -> Bool,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        search -> Tsvector,
        tag_count -> Integer,
        search_form -> SmallInt,
    }
}

diesel::table! {
    tags (user_id, id) {
        id -> BigInt,
        user_id -> Uuid,
        name -> Text,
        folded_name -> Text,
        description -> Nullable<Text>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        name_version -> SmallInt,
    }
}

diesel::table! {
    entry_tags (user_id, entry_id, tag_id) {
        user_id -> Uuid,
        entry_id -> BigInt,
        tag_id -> BigInt,
        entry_created_at -> Timestamptz,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    tag_deletions (user_id, tag_id) {
        user_id -> Uuid,
        tag_id -> BigInt,
        continued_at -> Timestamptz,
    }
}

diesel::table! {
    idempotency_keys (user_id, operation, key) {
        user_id -> Uuid,
        operation -> Text,
        key -> Text,
        arguments -> Binary,
        result_id -> BigInt,
        result_tag_ids -> Array<BigInt>,
        result_tag_names -> Array<Text>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    used_request_states (user_id, nonce) {
        user_id -> Uuid,
        nonce -> Binary,
        used_at -> Timestamptz,
    }
}

diesel::table! {
    revocations (id) {
        id -> BigInt,
        kind -> Text,
        issuer -> Text,
        target -> Text,
        ordered_by -> Text,
        revoked_at -> Timestamptz,
        until -> Nullable<Timestamptz>,
        lifted_at -> Nullable<Timestamptz>,
        changed_in -> BigInt,
    }
}

diesel::table! {
    sessions (user_id, name) {
        user_id -> Uuid,
        name -> Binary,
        ended -> Bool,
        log_level -> Nullable<Text>,
        subscriptions -> Array<Text>,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    session_answers (user_id, session, question) {
        user_id -> Uuid,
        session -> Binary,
        question -> Text,
        answer -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    exports (user_id, id) {
        user_id -> Uuid,
        id -> BigInt,
        media_type -> Text,
        parts -> Nullable<Integer>,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    export_parts (user_id, export_id, number) {
        user_id -> Uuid,
        export_id -> BigInt,
        number -> Integer,
        content -> Text,
    }
}

diesel::table! {
    activity (user_id, id) {
        id -> BigInt,
        user_id -> Uuid,
        client -> Text,
        kind -> Text,
        feature -> Text,
        outcome -> Text,
        hour -> Timestamptz,
        writes -> Bool,
        count -> BigInt,
        first_at -> Timestamptz,
        last_at -> Timestamptz,
        by_day -> Bool,
    }
}
