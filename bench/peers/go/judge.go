package main

import (
	"bytes"
	"encoding/json"
	"fmt"
)

const longestName = 100

var (
	eventTexts   = []string{"transaction_id", "user_id", "cart_id", "coupon_code"}
	eventNumbers = []string{"revenue", "discount", "shipping", "tax"}
	itemTexts    = []string{
		"item_name", "item_category", "item_brand", "item_variant",
		"item_list_name", "item_list_id", "item_image_url", "coupon_code",
	}
	itemNumbers = []string{"price", "quantity", "discount"}
)

type fields map[string]json.RawMessage

// fault returns the first fault of an event in the seed's words and order, empty when it is good: schemas/judge.py in Go.
// The value is valid JSON.
func fault(value []byte) string {
	var whole any
	if err := json.Unmarshal(value, &whole); err != nil {
		return "event cannot be read: " + err.Error() // a number beyond a double
	}
	if bytes.TrimSpace(value)[0] != '{' {
		return "event must be an object"
	}
	var event fields
	if err := json.Unmarshal(value, &event); err != nil {
		return "event cannot be read: " + err.Error()
	}
	if event.empty("event_type") {
		return "event_type is required"
	}
	name := event.text("event_type")
	kind := kinds[name]
	switch {
	case kind == nil:
		return "Invalid ecommerce event_type"
	case kind.needsTransaction && event.empty("transaction_id"):
		return "transaction_id is required for " + name + " events"
	case kind.needsRevenue && !event.has("revenue"):
		return "revenue is required for " + name + " events"
	case kind.needsItems && (!event.has("items") || isEmptyArray(event["items"])):
		return "items is required for " + name + " events"
	}
	if reason := event.scalars("", eventTexts, eventNumbers); reason != "" {
		return reason
	}
	if event.has("items") {
		if reason := itemsFault(event["items"]); reason != "" {
			return reason
		}
	}
	if event.has("properties") {
		return propertiesFault(event["properties"])
	}
	return ""
}

// has reports whether the field is there and not null.
func (f fields) has(name string) bool {
	raw := f[name]
	return len(raw) > 0 && raw[0] != 'n'
}

// empty reports whether the field is absent, null or an empty text.
func (f fields) empty(name string) bool { return !f.has(name) || string(f[name]) == `""` }

// text returns the field's text, empty when it is none.
func (f fields) text(name string) string {
	var text string
	if json.Unmarshal(f[name], &text) != nil {
		return ""
	}
	return text
}

func (f fields) scalars(path string, texts, numbers []string) string {
	for _, name := range texts {
		if f.has(name) && f[name][0] != '"' {
			return path + name + " must be a string"
		}
	}
	for _, name := range numbers {
		if f.has(name) && f[name][0] != '-' && !isDigit(f[name][0]) {
			return path + name + " must be a number"
		}
	}
	if f.has("currency") {
		code := f.text("currency")
		if f["currency"][0] != '"' || !isCurrency(&code) {
			return path + "currency must be an ISO 4217 code"
		}
	}
	return ""
}

func isEmptyArray(raw json.RawMessage) bool {
	return raw[0] == '[' && len(bytes.TrimSpace(raw[1:len(raw)-1])) == 0
}

func itemsFault(raw json.RawMessage) string {
	var items []json.RawMessage
	if raw[0] != '[' || json.Unmarshal(raw, &items) != nil {
		return "items must be an array"
	}
	for i, each := range items {
		path := fmt.Sprintf("items[%d]", i)
		var item fields
		if each[0] != '{' || json.Unmarshal(each, &item) != nil {
			return path + " must be an object"
		}
		if item.empty("item_id") {
			return path + ".item_id is required"
		}
		if item["item_id"][0] != '"' {
			return path + ".item_id must be a string"
		}
		if reason := item.scalars(path+".", itemTexts, itemNumbers); reason != "" {
			return reason
		}
	}
	return ""
}

func propertiesFault(raw json.RawMessage) string {
	if raw[0] != '{' {
		return "properties must be an object"
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	mustToken(decoder)
	for decoder.More() {
		name, _ := mustToken(decoder).(string)
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			panic(err) // it was decoded before
		}
		if value[0] == '{' || value[0] == '[' {
			return "properties." + shortened(name) + " must be a string"
		}
	}
	return ""
}

func shortened(name string) string {
	letters := []rune(name)
	if len(letters) <= longestName {
		return name
	}
	return string(letters[:longestName]) + "…"
}
