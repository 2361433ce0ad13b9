package main

import (
	_ "embed"
	"strings"
)

// event is what a good event looks like (seed 003); absent and null are the zero value. Pointers only where an empty value
// is a fault that an absent one is not.
type event struct {
	EventType     string   `json:"event_type"`
	TransactionID string   `json:"transaction_id"`
	Revenue       *float64 `json:"revenue"`
	Currency      *string  `json:"currency"`
	UserID        string   `json:"user_id"`
	CartID        string   `json:"cart_id"`
	CouponCode    string   `json:"coupon_code"`
	Discount      float64  `json:"discount"`
	Shipping      float64  `json:"shipping"`
	Tax           float64  `json:"tax"`
	Items         []item   `json:"items"`
	Properties    raw      `json:"properties"`
	APIKey        raw      `json:"apiKey"`
}

type item struct {
	ItemID       string  `json:"item_id"`
	ItemName     string  `json:"item_name"`
	ItemCategory string  `json:"item_category"`
	ItemBrand    string  `json:"item_brand"`
	ItemVariant  string  `json:"item_variant"`
	ItemListName string  `json:"item_list_name"`
	ItemListID   string  `json:"item_list_id"`
	ItemImageURL string  `json:"item_image_url"`
	Price        float64 `json:"price"`
	Quantity     float64 `json:"quantity"`
	Currency     *string `json:"currency"`
	CouponCode   string  `json:"coupon_code"`
	Discount     float64 `json:"discount"`
}

// kind is what an event type asks for, and the header that names it.
type kind struct {
	needsItems       bool
	needsTransaction bool
	needsRevenue     bool
	header           []byte
}

var kinds = map[string]*kind{
	"view_item":        {needsItems: true},
	"add_to_cart":      {needsItems: true},
	"remove_from_cart": {needsItems: true},
	"add_to_wishlist":  {needsItems: true},
	"view_cart":        {},
	"add_payment_info": {},
	"begin_checkout":   {},
	"purchase":         {needsTransaction: true, needsRevenue: true},
	"refund":           {needsTransaction: true, needsRevenue: true},
	"search":           {},
	"share":            {},
	"rate":             {},
	"spend_credits":    {needsRevenue: true},
}

// The codes of schemas/currencies.py; a test compares them.
//
//go:embed currencies.txt
var currencyCodes string

var currencies = map[string]bool{}

func init() {
	for name, kind := range kinds {
		kind.header = []byte("ecommerce." + name)
	}
	for _, code := range strings.Fields(currencyCodes) {
		currencies[code] = true
	}
}

// good reports whether a decoded event has no fault; why not is for fault to say.
func (e *event) good() bool {
	kind := kinds[e.EventType]
	if kind == nil ||
		(kind.needsTransaction && e.TransactionID == "") ||
		(kind.needsRevenue && e.Revenue == nil) ||
		(kind.needsItems && len(e.Items) == 0) ||
		!isCurrency(e.Currency) || !flat(e.Properties) {
		return false
	}
	for i := range e.Items {
		if e.Items[i].ItemID == "" || !isCurrency(e.Items[i].Currency) {
			return false
		}
	}
	return true
}

// isCurrency reports whether the code is one of ISO 4217, in either case of letters, or absent.
func isCurrency(code *string) bool {
	return code == nil || currencies[*code] || currencies[strings.ToUpper(*code)]
}

// flat reports whether properties are texts, numbers, booleans and nulls by name, or absent; they are valid JSON. Their values
// are not needed, so they are not decoded.
func flat(properties raw) bool {
	if len(properties) == 0 || properties[0] == 'n' {
		return true
	}
	if properties[0] != '{' {
		return false
	}
	for i := 1; i < len(properties); i++ {
		switch properties[i] {
		case '"':
			i = endOfString(properties, i)
		case '{', '[':
			return false
		}
	}
	return true
}
