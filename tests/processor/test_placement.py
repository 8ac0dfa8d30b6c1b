"""Where a call ran: one row a case."""

from collections.abc import Callable

import pytest

from ecomind_processor.footprint import Coefficients

Resolver = Callable[..., Coefficients]

PLACES = [
    # stated, zone, grid tier, facility when the provider is openai
    ("us-east-1", "US-SRVC", "B", "aws.bedrock"),
    ("us-east-1a", "US-SRVC", "B", "aws.bedrock"),
    ("eu-west-1", "IRL", "C", "aws.bedrock"),
    ("eastus2", "US-SRVC", "B", "azure.ai.openai"),
    ("East US", "US-SRVC", "B", "azure.ai.openai"),
    ("swedencentral", "SWE", "C", "azure.ai.openai"),
    ("europe-west9", "GCP-EUROPE-WEST9", "B", "gcp.vertex_ai"),
    ("us-central1-a", "GCP-US-CENTRAL1", "B", "gcp.vertex_ai"),
    ("US-CAISO", "US-CAISO", "B", "openai"),
    ("us-cal-ciso", "US-CAISO", "B", "openai"),
    ("US-ERCT", "US-ERCT", "B", "openai"),
    ("US-NYUP", "US-NYUP", "B", "openai"),
    ("FR", "FRA", "C", "openai"),
    ("FRA", "FRA", "C", "openai"),
    ("france", "FRA", "C", "openai"),
    ("UK", "GBR", "C", "openai"),
    ("NO", "NOR", "C", "openai"),
    ("CA-QC", "CAN", "C", "openai"),
    ("eu-west-99", "EU", "D", "openai"),
    ("world", "WOR", "E", "openai"),
    # territories without a figure of their own: their continent's
    ("BM", "NORTH-AMERICA", "D", "openai"),
    ("BMU", "NORTH-AMERICA", "D", "openai"),
    ("CAF", "AFRICA", "D", "openai"),
    ("gibraltar", "EUROPE", "D", "openai"),
    ("XK", "EUROPE", "D", "openai"),
    ("XKX", "EUROPE", "D", "openai"),
    ("SHN", "AFRICA", "D", "openai"),
    ("TL", "ASIA", "D", "openai"),
    ("TLS", "ASIA", "D", "openai"),
    ("ESH", "AFRICA", "D", "openai"),
    # hosts
    ("api.openai.com", "USA", "C", "openai"),
    ("https://api.openai.com:443/v1", "USA", "C", "openai"),
    ("eu.api.openai.com", "EU", "D", "openai"),
    ("bedrock-runtime.eu-west-1.amazonaws.com", "IRL", "C", "aws.bedrock"),
    ("bedrock-runtime-fips.us-gov-west-1.amazonaws.com", "US-NWPP", "B", "aws.bedrock"),
    ("europe-west1-aiplatform.googleapis.com", "GCP-EUROPE-WEST1", "B", "gcp.vertex_ai"),
    ("aiplatform.googleapis.com", "USA", "C", "gcp.vertex_ai"),
    ("acme.openai.azure.com", "USA", "C", "azure.ai.openai"),
    ("swedencentral.api.cognitive.microsoft.com", "SWE", "C", "azure.ai.openai"),
    ("dashscope-intl.aliyuncs.com", "SGP", "C", "alibaba"),
    # nothing to go by: the provider's default
    ("", "USA", "C", "openai"),
    ("localhost", "USA", "C", "openai"),
    ("my-proxy", "USA", "C", "openai"),  # MY is Malaysia, but this is a host
    ("in-house.example.com", "USA", "C", "openai"),
]


@pytest.mark.parametrize(("stated", "zone", "tier", "facility"), PLACES)
def test_place(stated: str, zone: str, tier: str, facility: str, coefficients: Resolver) -> None:
    c = coefficients("gpt-4o", place=stated)
    assert (c.zone, c.grid_tier, c.provider) == (zone, tier, facility)
    assert c.band_grid == {"B": 1.15, "C": 1.25, "D": 1.6, "E": 2.0}[tier]


@pytest.mark.parametrize(
    ("provider", "zone", "pue"),
    [
        ("anthropic", "USA", 1.1147),
        ("aws.bedrock", "USA", 1.14),
        ("gcp.gemini", "USA", 1.09),
        ("azure.ai.openai", "USA", 1.17),
        ("mistral_ai", "SWE", 1.16),
        ("deepseek", "CHN", 1.54),
        ("nobody", "WOR", 1.54),
        ("", "WOR", 1.54),
    ],
)
def test_provider_default(provider: str, zone: str, pue: float, coefficients: Resolver) -> None:
    c = coefficients("some-model", provider)
    assert (c.zone, c.pue) == (zone, pue)


def test_a_cross_region_profile_hints_at_its_zone(coefficients: Resolver) -> None:
    model = "eu.anthropic.claude-sonnet-4-20250514-v1:0"
    c = coefficients(model, "aws.bedrock", request_model=model)
    assert (c.zone, c.grid_tier) == ("EU", "D")
    stated = coefficients(model, "aws.bedrock", "us-west-2", request_model=model)
    assert stated.zone == "US-NWPP"  # what is stated goes first


# g/kWh, 2025, Ember by way of Our World in Data; Google Cloud regions 2024; L/kWh, WRI 2020
@pytest.mark.parametrize(
    ("stated", "co2e_g_per_kwh", "water_l_per_kwh"),
    [
        ("USA", 384.4, 3.14),
        ("FRA", 41.4, 3.7),
        ("SWE", 35.3, 6.0),
        ("DEU", 329.7, 1.9),
        ("GBR", 217.4, 2.3),
        ("IRL", 256.5, 1.5),
        ("IND", 670.1, 3.4),
        ("CHN", 525.3, 6.0),
        ("JPN", 477.3, 2.3),
        ("BRA", 110.0, 18.6),
        ("WOR", 458.3, 4.81),
        ("us-central1", 412.72, 3.14),
        ("europe-west9", 16.30, 3.7),
        ("US-NYUP", 110, 3.14),
        ("US-ERCT", 333, 3.14),
        ("US-RFCW", 413, 3.14),
    ],
)
def test_published_intensities(
    stated: str, co2e_g_per_kwh: float, water_l_per_kwh: float, coefficients: Resolver
) -> None:
    c = coefficients("gpt-4o", place=stated)
    assert c.co2e_g_per_kwh_location == pytest.approx(co2e_g_per_kwh, rel=0.002)
    assert c.water_l_per_kwh_offsite == pytest.approx(water_l_per_kwh, rel=0.03)


@pytest.mark.parametrize(
    ("stated", "how", "band"),
    [
        ("FRA", "stated grid zone", 1.875),
        ("US-CAISO", "stated grid zone; water: United States", 1.875),
        ("SGP", "stated grid zone; water: world", 3.0),
    ],
)
def test_borrowed_water_is_said_and_widens_its_band(
    stated: str, how: str, band: float, coefficients: Resolver
) -> None:
    c = coefficients("gpt-4o", place=stated)
    assert c.zone_match == how
    assert c.band_water == pytest.approx(band)
