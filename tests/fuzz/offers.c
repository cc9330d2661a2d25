// SPDX-License-Identifier: BSD-3-Clause
/*
 * Offers as bytes and as text, as whoever carried them has left them: anything at all, or a right
 * offer with some changes. What is accepted is what the encoder makes of it, and what is not
 * accepted leaves the result as it was.
 */
#include "offer.c"

#include <stdbool.h>

#include "input.h"

/* As the document says, not as the source does. */
#define DOMIDS 0x7ff0

static bool same(const struct xsock_offer *a, const struct xsock_offer *b)
{
	return a->domid == b->domid && a->gref == b->gref && a->port == b->port &&
	       !memcmp(a->cookie, b->cookie, sizeof(a->cookie));
}

static struct xsock_offer nothing(void)
{
	struct xsock_offer offer;

	/* All of it: there is padding. */
	memset(&offer, 0x5a, sizeof(offer));
	return offer;
}

static bool untouched(const struct xsock_offer *offer)
{
	const uint8_t *bytes = (const uint8_t *)offer;

	for (size_t k = 0; k < sizeof(*offer); k++)
		if (bytes[k] != 0x5a)
			return false;
	return true;
}

/* In memory of exactly that size: a byte beyond it is found by the sanitizer. */
static int decode(const uint8_t *bytes, size_t len, struct xsock_offer *offer)
{
	uint8_t *copy = malloc(len ? len : 1);
	int err;

	must(copy);
	memcpy(copy, bytes, len);
	err = xsock_offer_decode(len ? copy : copy + 1, len, offer);
	free(copy);
	return err;
}

static int parse(const char *text, size_t len, struct xsock_offer *offer)
{
	char *copy = malloc(len + 1);
	int err;

	must(copy);
	memcpy(copy, text, len);
	copy[len] = 0;
	err = xsock_offer_parse(copy, offer);
	free(copy);
	return err;
}

static void any_bytes(const uint8_t *bytes, size_t len)
{
	struct xsock_offer offer = nothing();
	uint8_t again[XSOCK_OFFER_SIZE];
	int err = decode(bytes, len, &offer);

	if (err) {
		must(untouched(&offer));
		must(err == -EBADMSG || (err == -XSOCK_EVERSION && len >= 4 && bytes[3] != 1));
		return;
	}
	must(len == sizeof(again) && offer.domid < DOMIDS);
	xsock_offer_encode(&offer, again);
	must(!memcmp(again, bytes, len));
}

static void any_text(const char *text, size_t len)
{
	struct xsock_offer offer = nothing();
	char again[XSOCK_OFFER_TEXT];
	int err;

	len = strnlen(text, len);
	err = parse(text, len, &offer);
	if (err) {
		must(untouched(&offer));
		must(err == -EBADMSG || (err == -XSOCK_EVERSION && len >= 5 && memcmp(text, "xen1:", 5)));
		return;
	}
	must(offer.domid < DOMIDS);
	xsock_offer_format(&offer, again);
	must(strlen(again) == len && !memcmp(again, text, len));
}

/* What a changed character becomes, as often as not: what might pass. */
static char near(void)
{
	static const char letters[] = "0123456789abcdefABCDEF:xen -+\n";

	return take(1) % 2 ? letters[take(1) % (sizeof(letters) - 1)] : (char)take(1);
}

static void right_offer(void)
{
	struct xsock_offer offer = nothing(), back = nothing();
	uint8_t bytes[XSOCK_OFFER_SIZE + 8] = { 0 };
	char text[XSOCK_OFFER_TEXT + 8] = "";
	size_t len;

	offer.domid = take(2) % DOMIDS;
	/* Lengths of the numbers, not only their values. */
	offer.gref = (uint32_t)take(4) >> take(1) % 32;
	offer.port = (uint32_t)take(4) >> take(1) % 32;
	for (size_t k = 0; k < sizeof(offer.cookie); k++)
		offer.cookie[k] = (uint8_t)take(1);

	xsock_offer_encode(&offer, bytes);
	must(!decode(bytes, XSOCK_OFFER_SIZE, &back) && same(&offer, &back));
	back = nothing();
	xsock_offer_format(&offer, text);
	len = strlen(text);
	must(len < XSOCK_OFFER_TEXT);
	must(!parse(text, len, &back) && same(&offer, &back));

	/* Cut off, or longer; and then changed, one place after the other. */
	any_bytes(bytes, take(1) % (sizeof(bytes) + 1));
	any_text(text, take(1) % len);
	while (input_left) {
		bytes[take(1) % XSOCK_OFFER_SIZE] = (uint8_t)take(1);
		any_bytes(bytes, XSOCK_OFFER_SIZE);
		/* Also behind the end, which makes it longer. */
		text[take(1) % (len + 1)] = near();
		any_text(text, sizeof(text));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	input = data;
	input_left = len;
	switch (take(1) % 4) {
	case 0:
		any_bytes(input, input_left);
		break;
	case 1:
		any_text((const char *)input, input_left);
		break;
	default:
		right_offer();
		break;
	}
	return 0;
}
