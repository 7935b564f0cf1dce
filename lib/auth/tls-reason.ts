/** Why a connection with TLS was not made, in words for a log line or a command's message: what OpenSSL says helps nobody to find the file. */

const NOT_OURS = "its certificate is not signed by the CA that is trusted here";
const NO_TLS = "it does not speak TLS";
const NO_TLS_13 = "it does not speak TLS 1.3";

export const TLS_REASONS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "its certificate has expired",
  CERT_NOT_YET_VALID: "its certificate is not valid yet by this machine's clock",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another name",
  CERT_SIGNATURE_FAILURE: NOT_OURS,
  DEPTH_ZERO_SELF_SIGNED_CERT: NOT_OURS,
  SELF_SIGNED_CERT_IN_CHAIN: NOT_OURS,
  UNABLE_TO_GET_ISSUER_CERT: NOT_OURS,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: NOT_OURS,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: NOT_OURS,
  ERR_SSL_WRONG_VERSION_NUMBER: NO_TLS,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: NO_TLS,
  EPROTO: NO_TLS_13,
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: NO_TLS_13,
  ERR_SSL_UNSUPPORTED_PROTOCOL: NO_TLS_13,
};
