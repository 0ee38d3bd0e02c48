//! What is answered to a request.

use hyper::{
    Method, Request, Response, StatusCode,
    header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE},
};

use super::token::Token;

/// Where the metrics are.
const PATH: &str = "/metrics";

/// What is wrong with a request, before anything is done for it.
pub fn refusal<B>(request: &Request<B>, token: Option<&Token>) -> Option<Response<String>> {
    if let Some(token) = token {
        let shown = request.headers().get(AUTHORIZATION);
        if !shown.is_some_and(|shown| token.is_shown_by(shown.as_bytes())) {
            let mut response = said(
                StatusCode::UNAUTHORIZED,
                "these metrics take the token of --serve-token-file: `Authorization: Bearer TOKEN`\n",
            );
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
            return Some(response);
        }
    }
    if request.uri().path() != PATH {
        return Some(said(
            StatusCode::NOT_FOUND,
            "there is nothing here: the metrics are at /metrics\n",
        ));
    }
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        return Some(said(
            StatusCode::METHOD_NOT_ALLOWED,
            "metrics are only read: use GET\n",
        ));
    }
    None
}

/// A status with its sentence.
pub fn said(status: StatusCode, sentence: &str) -> Response<String> {
    let mut response = Response::new(sentence.to_owned());
    *response.status_mut() = status;
    response
}
