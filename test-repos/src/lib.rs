//! Repositories that sign on fetch, misbehaving servers, the attack catalogue.
