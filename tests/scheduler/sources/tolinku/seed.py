"""The answers of seed 003 as they stand there, in their JSON."""

from __future__ import annotations

OVERVIEW = b"""{
"total_revenue": 12450.00, "net_revenue": 11200.00, "total_orders": 245, "total_refunds": 12, "refund_amount": 1250.00,
"avg_order_value": 50.82, "total_items_sold": 512, "cart_abandonment_rate": 68.5, "add_to_cart_rate": 32.1, "days": 30
}"""
SERIES = b"""{"series": [
{ "date": "2026-01-01", "revenue": 450.00, "orders": 8 },
{ "date": "2026-01-02", "revenue": 620.00, "orders": 12 }
], "days": 30}"""
FUNNEL = b"""{"steps": [
{ "name": "view_item", "count": 5000, "percentage": 100 },
{ "name": "add_to_cart", "count": 1600, "percentage": 32.0 }
], "days": 30}"""
PRODUCTS = b"""{"products": [
{ "item_id": "sku_1", "item_name": "T-Shirt", "revenue": 2499.00, "quantity": 100, "orders": 85 },
{ "item_id": "sku_2", "item_name": "Hoodie", "revenue": 1899.00, "quantity": 38, "orders": 35 }
], "days": 30}"""
CHANNELS = b"""{"channels": [
{"campaign": "spring-sale", "source": "email", "medium": "newsletter", "revenue": 4500.00, "orders": 90, "conversion_rate": 3.2}
], "days": 30}"""
COUPONS = b"""{"coupons": [
{ "coupon_code": "SAVE10", "revenue": 1200.00, "orders": 40, "avg_discount": 12.50 }
], "days": 30}"""
DEVICES = b"""{"devices": [
{ "device_type": "mobile", "revenue": 8200.00, "orders": 165 }
], "days": 30}"""
PLATFORMS = b"""{"platforms": [
{ "platform": "ios", "revenue": 6500.00, "orders": 130 }
], "days": 30}"""
COUNTRIES = b"""{"countries": [
{ "country": "US", "revenue": 9200.00, "orders": 185 }
], "days": 30}"""
ABANDONMENT = b"""{
"abandonment_rate": 68.5, "abandoned_carts": 520, "abandoned_revenue": 32000.00, "completed_carts": 238, "days": 30
}"""
ATTRIBUTION = b"""{"attributed": [
{"campaign": "spring-sale", "source": "email", "medium": "newsletter", "revenue": 4500.00, "orders": 90, "pct_of_total": 36.1}
], "unattributed": { "revenue": 2100.00, "orders": 45 }, "model": "last_click", "window_days": 30}"""
COHORTS = b"""{"cohorts": [
{ "month": "2026-01", "users": 120, "revenue_by_month": { "0": 3200.00, "1": 1800.00, "2": 900.00 } },
{ "month": "2025-12", "users": 95, "revenue_by_month": { "0": 2800.00 } }
], "avg_ltv": 82.50, "total_purchasing_users": 580}"""
JOURNEY = b"""{"events": [
{ "event_type": "view_item", "timestamp": "2026-01-15T10:30:00Z", "items": [{ "item_id": "sku_1", "item_name": "T-Shirt" }] },
{ "event_type": "purchase", "timestamp": "2026-01-15T10:35:00Z", "transaction_id": "order_456", "revenue": 49.99 }
], "user_id": "user_123"}"""
