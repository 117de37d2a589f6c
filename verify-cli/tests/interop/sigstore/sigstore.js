// Signs and verifies with sigstore-js, whose packages lie in the folder that HALLMARK_SIGSTORE_JS names:
//
//   sign VERSION KEY HINT TYPE FILE        a bundle around FILE, on stdout; without TYPE, of its signature alone
//   verify BUNDLE KEY HINT ROOT [FILE]     by a public key, known by HINT; without ROOT no log is asked for
//   keyless BUNDLE ROOT ISSUER IDENTITY    by a trusted root
//
// Where it refuses, the last line on stderr says why.
"use strict";

const fs = require("node:fs");
const crypto = require("node:crypto");
const { createRequire } = require("node:module");

const load = createRequire(`${process.env.HALLMARK_SIGSTORE_JS}/`);
/** What a package itself depends on, in the version that it asks for. */
const of = (name) => createRequire(load.resolve(name));
const json = (file) => JSON.parse(fs.readFileSync(file, "utf8"));

function signer(file, hint) {
  const key = crypto.createPrivateKey(fs.readFileSync(file));
  const publicKey = crypto.createPublicKey(key).export({ type: "spki", format: "pem" });
  const hash = key.asymmetricKeyType === "ed25519" ? null : "sha256";
  return {
    sign: async (data) => ({
      signature: crypto.sign(hash, data, key),
      key: { $case: "publicKey", publicKey, hint },
    }),
  };
}

async function sign(version, key, hint, type, file) {
  const name = `sign-${version}`;
  const { DSSEBundleBuilder, MessageSignatureBundleBuilder } = load(name);
  const Builder = type === "" ? MessageSignatureBundleBuilder : DSSEBundleBuilder;
  const builder = new Builder({ signer: signer(key, hint), witnesses: [] });
  const bundle = await builder.create({ data: fs.readFileSync(file), type });
  console.log(JSON.stringify(of(name)("@sigstore/bundle").bundleToJSON(bundle)));
}

/** What a bundle says. What was signed is in the file, where it isn't in the bundle. */
function entity(bundle, file) {
  const { bundleFromJSON } = load("@sigstore/bundle");
  const { toSignedEntity } = load("@sigstore/verify");
  return toSignedEntity(bundleFromJSON(json(bundle)), file && fs.readFileSync(file));
}

function trusted(root) {
  const { TrustedRoot } = of("@sigstore/verify")("@sigstore/protobuf-specs");
  return TrustedRoot.fromJSON(root === "" ? {} : json(root));
}

function verify(bundle, key, hint, root, file) {
  const { Verifier, toTrustMaterial } = load("@sigstore/verify");
  const rawBytes = crypto.createPublicKey(fs.readFileSync(key)).export({ type: "spki", format: "der" });
  const trust = toTrustMaterial(trusted(root), { [hint]: { rawBytes } });
  const options = { tlogThreshold: root === "" ? 0 : 1, ctlogThreshold: 0 };
  new Verifier(trust, options).verify(entity(bundle, file));
}

function keyless(bundle, root, issuer, identity) {
  const { Verifier, toTrustMaterial } = load("@sigstore/verify");
  const policy = { subjectAlternativeName: identity, extensions: { issuer } };
  new Verifier(toTrustMaterial(trusted(root))).verify(entity(bundle), policy);
}

async function main([verb, ...words]) {
  await { sign, verify, keyless }[verb](...words);
}

main(process.argv.slice(2)).catch((why) => {
  console.error(`${why.name}: ${why.message}`);
  process.exit(1);
});
