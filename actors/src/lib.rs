//! Every actor and message of the server; see `docs/architecture.md`.
