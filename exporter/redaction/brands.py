"""Tokens that say by their own form what they are. One line a brand: its form, and who documents it.

The forms are those that vendors document and secret scanners look for (gitleaks, detect-secrets). Lengths are lower
bounds: a token that was cut off, or a newer and longer one, is the same secret.
"""

from __future__ import annotations

import re
from typing import Final

from exporter.redaction.uris import HIDDEN

BRANDS: Final = (
    r"(?:A3T[A-Z0-9]|AKIA|ASIA|AROA|AIDA|AGPA|ANPA|ANVA|ABIA|ACCA)[A-Z0-9]{8}[A-Za-z0-9]*+",  # AWS: ids
    r"ABSK[A-Za-z0-9+/]{20,}+=*+",  # AWS Bedrock
    r"bedrock-api-key-[A-Za-z0-9+/=]++",  # AWS Bedrock, short-lived
    r"LTAI[A-Za-z0-9]{10,}+",  # Alibaba Cloud: id of an access key
    r"AKID[A-Za-z0-9]{10,}+",  # Tencent Cloud: id of a secret
    r"GOOG[A-Z0-9]{12,}+",  # Google Cloud Storage: id of an HMAC key
    r"AIza[\w-]{20,}+",  # Google: API key
    r"ya29\.[\w.-]++",  # Google: OAuth access token
    r"1//0[\w-]{20,}+",  # Google: OAuth refresh token
    r"GOCSPX-[\w-]{16,}+",  # Google: OAuth client secret
    r"[A-Za-z0-9_~.]{3}\dQ~[\w~.-]{20,}+",  # Microsoft Entra: client secret
    r"(?:AQVN|YC)[\w-]{34,}+",  # Yandex Cloud
    r"t1\.[\w-]{10,}+=*+\.[\w-]{40,}+=*+",  # Yandex Cloud: IAM token
    r"gh[pousr]_\w{16,}+",  # GitHub
    r"github_pat_\w{16,}+",  # GitHub: fine-grained
    r"gl(?:pat|ptt|rt|dt|ft|soat|cbt|agent|imt|oas|ffct)-[\w.-]{16,}+",  # GitLab
    r"GR1348941[\w-]{16,}+",  # GitLab: registration of runners
    r"hf_[A-Za-z0-9]{16,}+",  # Hugging Face
    r"api_org_[A-Za-z0-9]{16,}+",  # Hugging Face: organisation
    r"dapi[a-f0-9]{16,}+(?:-\d)?",  # Databricks
    r"sk-(?=[\w-]{0,60}[A-Z0-9])[\w-]{16,}+",  # OpenAI, Anthropic and others
    r"sk-(?:proj|svcacct|admin|ant)-[\w-]{8,}+",  # OpenAI, Anthropic
    r"pplx-[A-Za-z0-9]{20,}+",  # Perplexity
    r"hv[sbr]\.[\w-]{16,}+",  # HashiCorp Vault
    r"s\.[A-Za-z0-9]{24}(?![A-Za-z0-9])",  # HashiCorp Vault, before 1.10
    r"[a-z0-9]{14}\.atlasv1\.[\w=-]{20,}+",  # HashiCorp Terraform Cloud
    r"xox[abeoprs](?:\.xox[bp])?-[\w-]{8,}+",  # Slack
    r"xapp-\d-[\w-]{8,}+",  # Slack: app
    r"SG\.[\w.-]{20,}+",  # SendGrid
    r"xkeysib-[a-f0-9]{16,}+[\w-]*+",  # Brevo
    r"npm_[A-Za-z0-9]{20,}+",  # npm
    r"pypi-[\w-]{20,}+",  # PyPI
    r"rubygems_[a-f0-9]{20,}+",  # RubyGems
    r"(?:sk|rk)_(?:test|live|prod)_[A-Za-z0-9]{10,}+",  # Stripe
    r"(?:EAAA|sq0[a-z]{3}-)[\w-]{20,}+",  # Square
    r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{20,}+",  # Shopify
    r"do[opr]_v1_[a-f0-9]{20,}+",  # DigitalOcean
    r"gl(?:c|sa)_[\w+/]{20,}+=*+",  # Grafana
    r"dp\.[a-z]{2,4}\.[A-Za-z0-9]{20,}+",  # Doppler
    r"dt0[a-z]\d\d\.[A-Z0-9]{16,}+(?:\.[A-Z0-9]*+)?",  # Dynatrace
    r"NRAK-[A-Z0-9]{16,}+",  # New Relic
    r"PMAK-[a-f0-9]{16,}+[a-f0-9-]*+",  # Postman
    r"lin_api_[A-Za-z0-9]{20,}+",  # Linear
    r"ntn_[A-Za-z0-9]{20,}+",  # Notion
    r"pul-[a-f0-9]{20,}+",  # Pulumi
    r"pscale_(?:tkn|oauth|pw)_[\w=.-]{16,}+",  # PlanetScale
    r"pnu_[A-Za-z0-9]{20,}+",  # Prefect
    r"sntry[su]_[\w+/=-]{20,}+",  # Sentry
    r"sha256~[\w-]{20,}+",  # OpenShift
    r"AKCp[A-Za-z0-9]{20,}+",  # JFrog Artifactory
    r"cmVmd[A-Za-z0-9]{20,}+",  # JFrog Artifactory: reference
    r"ATATT3[\w=-]{20,}+",  # Atlassian
    r"HRKU-[\w-]{20,}+",  # Heroku
    r"fo1_[\w-]{20,}+",  # Fly.io
    r"fm[12][ar]?_[A-Za-z0-9+/]{20,}+=*+",  # Fly.io
    r"AGE-SECRET-KEY-1[A-Z0-9]{16,}+",  # age
    r"ops_eyJ[\w+/=-]{16,}+",  # 1Password
    r"eyJ[\w-]{8,}+(?:\.[\w=+/-]*+){0,4}",  # a JSON web token
)
BRANDED: Final = re.compile(r"(?<![A-Za-z0-9])(?:" + "|".join(BRANDS) + ")")


def mask_branded(text: str) -> str:
    """Hide tokens that are known by their form."""
    return BRANDED.sub(HIDDEN, text)
