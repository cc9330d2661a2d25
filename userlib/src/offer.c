/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Offers as bytes and as text. Whoever carries them may have changed them, so the
 * decoders accept one form of each offer only.
 *
 * Bytes: "XSO", version (1), domid (2), zero (2), gref (4), port (4), cookie (16);
 * integers little-endian.
 * Text: xen1:DOMID:GREF:PORT:COOKIE; decimal numbers, 32 lower-case hex digits.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"
#include "bytes.h"

#define OFFER_VERSION	1
/* Domids from here on are not domains. */
#define DOMID_LIMIT	0x7ff0

static const uint8_t magic[3] = { 'X', 'S', 'O' };

XSOCK_PUBLIC void xsock_offer_encode(const struct xsock_offer *offer,
				     uint8_t bytes[XSOCK_OFFER_SIZE])
{
	memcpy(bytes, magic, sizeof(magic));
	bytes[3] = OFFER_VERSION;
	put_le16(bytes + 4, offer->domid);
	put_le16(bytes + 6, 0);
	put_le32(bytes + 8, offer->gref);
	put_le32(bytes + 12, offer->port);
	memcpy(bytes + 16, offer->cookie, XSOCK_COOKIE_SIZE);
}

XSOCK_PUBLIC int xsock_offer_decode(const void *data, size_t len, struct xsock_offer *offer)
{
	const uint8_t *bytes = data;

	if (len < 4 || memcmp(bytes, magic, sizeof(magic)))
		return -EBADMSG;
	if (bytes[3] != OFFER_VERSION)
		return -XSOCK_EVERSION;
	if (len != XSOCK_OFFER_SIZE || get_le16(bytes + 6) ||
	    get_le16(bytes + 4) >= DOMID_LIMIT)
		return -EBADMSG;
	offer->domid = get_le16(bytes + 4);
	offer->gref = get_le32(bytes + 8);
	offer->port = get_le32(bytes + 12);
	memcpy(offer->cookie, bytes + 16, XSOCK_COOKIE_SIZE);
	return 0;
}

XSOCK_PUBLIC void xsock_offer_format(const struct xsock_offer *offer,
				     char text[XSOCK_OFFER_TEXT])
{
	int n, i;

	n = snprintf(text, XSOCK_OFFER_TEXT, "xen%d:%u:%" PRIu32 ":%" PRIu32 ":",
		     OFFER_VERSION, offer->domid, offer->gref, offer->port);
	for (i = 0; i < XSOCK_COOKIE_SIZE; i++)
		n += snprintf(text + n, XSOCK_OFFER_TEXT - n, "%02x", offer->cookie[i]);
}

/* A decimal number without leading zeros, and the colon after it. */
static const char *parse_number(const char *text, uint32_t max, uint32_t *value)
{
	uint64_t n = 0;
	int digits;

	for (digits = 0; text[digits] >= '0' && text[digits] <= '9'; digits++) {
		n = n * 10 + (uint64_t)(text[digits] - '0');
		if (n > max || (digits && text[0] == '0'))
			return NULL;
	}
	if (!digits || text[digits] != ':')
		return NULL;
	*value = (uint32_t)n;
	return text + digits + 1;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

XSOCK_PUBLIC int xsock_offer_parse(const char *text, struct xsock_offer *offer)
{
	struct xsock_offer o;
	uint32_t version, domid;
	int i, high, low;

	if (strncmp(text, "xen", 3))
		return -EBADMSG;
	text = parse_number(text + 3, UINT32_MAX, &version);
	if (!text)
		return -EBADMSG;
	if (version != OFFER_VERSION)
		return -XSOCK_EVERSION;
	text = parse_number(text, DOMID_LIMIT - 1, &domid);
	if (text)
		text = parse_number(text, UINT32_MAX, &o.gref);
	if (text)
		text = parse_number(text, UINT32_MAX, &o.port);
	if (!text)
		return -EBADMSG;
	for (i = 0; i < XSOCK_COOKIE_SIZE; i++) {
		/* The second digit is looked at only if the first is one. */
		high = hex_digit(text[2 * i]);
		low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);
		if (low < 0)
			return -EBADMSG;
		o.cookie[i] = (uint8_t)(high << 4 | low);
	}
	if (text[2 * XSOCK_COOKIE_SIZE])
		return -EBADMSG;
	o.domid = (uint16_t)domid;
	*offer = o;
	return 0;
}
