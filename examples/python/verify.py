"""Verifies an image, and says so by its exit code: 0 trusted, 1 refused, 2 a wrong call, 3 could not tell.

    python verify.py NAME --repo https://trust.example.com --root root.json
"""

import argparse
import sys

import hallmark


def main() -> int:
    parser = argparse.ArgumentParser(description="Verify an image before it runs.")
    parser.add_argument("name", help="such as registry.example.com/acme/web:1.4")
    parser.add_argument("--repo", required=True, help="the trust repository: a folder or an address")
    parser.add_argument("--root", required=True, help="its root file, as its owner gave it to you")
    parser.add_argument("--platform", help="such as linux/arm64, or all")
    parser.add_argument("--authfile", help="logins for registries")
    parser.add_argument("--at", help="the time to verify as of, such as 2026-01-31T12:00:00Z")
    args = parser.parse_args()
    try:
        report = hallmark.verify(
            args.name,
            repo=args.repo,
            root=args.root,
            platform=args.platform,
            authfile=args.authfile,
            at=args.at,
        )
    except hallmark.Refused as refused:
        link = refused.report["broken"]
        print(f"refused at the {link['stage']}: {refused}", file=sys.stderr)
        return 1
    except hallmark.Unknown as unknown:
        print(f"could not tell: {unknown}", file=sys.stderr)
        return 3
    except hallmark.BadCall as bad:
        print(f"{bad}: {bad.hint or 'see --help'}", file=sys.stderr)
        return 2
    print(report["pinned"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
