//! `/__erulb__/live` and `/__erulb__/ready`, where the API has an address of its own; on the data port workers answer them.
//!
//! It owns the way to the answer, never the judgement. Next: [`crate::readiness`].

use axum::Extension;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::answer::Failure;
use crate::readiness::{HealthAnswer, Readiness};

/// What a worker would answer.
pub(super) async fn get(Extension(readiness): Extension<Readiness>, uri: Uri) -> Response {
    let Some(HealthAnswer { status, body }) = readiness.answer(uri.path().as_bytes()) else {
        return Failure::new(StatusCode::NOT_FOUND, "no such endpoint: live and ready are known")
            .into_response();
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
