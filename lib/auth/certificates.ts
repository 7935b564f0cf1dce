/**
 * Makes a CA and the certificates of nodes, so that nobody needs openssl. Only `concord certs` and tests load this.
 *
 * P-256 keys, because every TLS library has them and a handshake with one costs a tenth of RSA. Validity begins a day in the past: nodes' clocks
 * may be wrong by hours, and a new certificate that half of the cluster takes for one of tomorrow is of no use.
 */
import { randomBytes, webcrypto } from "node:crypto";
import { isIP } from "node:net";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { invalid } from "./secret-file.ts";

/** PEM. */
export interface CertificateTexts {
  readonly cert: string;
  readonly key: string;
}

export interface Validity {
  readonly fromMs: number;
  readonly untilMs: number;
}

const KEY_ALGORITHM = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNING = { name: "ECDSA", hash: "SHA-256" } as const;

const DAY_MS = 86_400_000;

export function validFor(days: number, nowMs: number): Validity {
  return { fromMs: nowMs - DAY_MS, untilMs: nowMs + days * DAY_MS };
}

export async function createCa({ fromMs, untilMs }: Validity): Promise<CertificateTexts> {
  const keys = await createKeys();
  const cert = await X509CertificateGenerator.createSelfSigned({
    // A name of its own: of two CAs with one name, OpenSSL tries the wrong one.
    name: `CN=Concord CA ${randomBytes(4).toString("hex")}`,
    serialNumber: createSerial(),
    notBefore: new Date(fromMs),
    notAfter: new Date(untilMs),
    signingAlgorithm: SIGNING,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { cert: pemOf(cert), key: await pemOfKey(keys.privateKey) };
}

/** For a node that is reached under any of these names and addresses, and that reaches others. Throws `invalid` when the CA is not of this kind. */
export async function createCertificate(ca: CertificateTexts, hosts: readonly string[], validity: Validity): Promise<CertificateTexts> {
  const { cert: issuer, key: signingKey } = await readCa(ca);
  const keys = await createKeys();
  const cert = await X509CertificateGenerator.create({
    subject: `CN=${hosts[0] ?? ""}`,
    issuer: issuer.subject,
    serialNumber: createSerial(),
    notBefore: new Date(Math.max(validity.fromMs, issuer.notBefore.getTime())),
    notAfter: new Date(Math.min(validity.untilMs, issuer.notAfter.getTime())),
    signingAlgorithm: SIGNING,
    publicKey: keys.publicKey,
    signingKey,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
      new SubjectAlternativeNameExtension(hosts.map((value) => ({ type: isIP(value) === 0 ? "dns" : "ip", value }))),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return { cert: pemOf(cert), key: await pemOfKey(keys.privateKey) };
}

async function readCa({ cert, key }: CertificateTexts): Promise<{ readonly cert: X509Certificate; readonly key: webcrypto.CryptoKey }> {
  try {
    const bytes = PemConverter.decodeFirst(key);
    return { cert: new X509Certificate(cert), key: await webcrypto.subtle.importKey("pkcs8", bytes, KEY_ALGORITHM, false, ["sign"]) };
  } catch (error) {
    throw invalid(`the CA is not one that concord certs has made: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function createKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ["sign", "verify"]);
}

/** Positive, as the standard wants it. */
function createSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] as number) & 0x7f) | 0x40;
  return bytes.toString("hex");
}

function pemOf(cert: X509Certificate): string {
  return `${cert.toString("pem")}\n`;
}

async function pemOfKey(key: webcrypto.CryptoKey): Promise<string> {
  return `${PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY")}\n`;
}
