CREATE TABLE `audit` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`at` integer NOT NULL,
	`actor` text NOT NULL,
	`via` text NOT NULL,
	`action` text NOT NULL,
	`target_kind` text NOT NULL,
	`target_key` text NOT NULL,
	`environments` text NOT NULL,
	`comment` text NOT NULL,
	`details` text NOT NULL,
	`request_id` text NOT NULL,
	`hash` text
);
--> statement-breakpoint
CREATE INDEX `audit_unsealed` ON `audit` (`id`) WHERE "audit"."hash" IS NULL;--> statement-breakpoint
CREATE INDEX `audit_by_actor` ON `audit` (`actor`,`id`);--> statement-breakpoint
CREATE INDEX `audit_by_target` ON `audit` (`target_kind`,`target_key`,`id`);--> statement-breakpoint
CREATE INDEX `audit_by_time` ON `audit` (`at`);--> statement-breakpoint
CREATE TABLE `idempotency_keys` (
	`id` text PRIMARY KEY NOT NULL,
	`fingerprint` text NOT NULL,
	`status` integer NOT NULL,
	`answer` text NOT NULL,
	`environments` text NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `idempotency_keys_by_age` ON `idempotency_keys` (`created_at`);--> statement-breakpoint
CREATE TABLE `members` (
	`id` text PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`role` text NOT NULL,
	`environments` text,
	`revision` integer NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `tokens` (
	`id` text PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`hash` text NOT NULL,
	`owner` text NOT NULL,
	`role` text NOT NULL,
	`environments` text,
	`created_by` text NOT NULL,
	`created_at` integer NOT NULL,
	`expires_at` integer,
	`revoked_at` integer
);
--> statement-breakpoint
CREATE UNIQUE INDEX `tokens_hash_unique` ON `tokens` (`hash`);--> statement-breakpoint
CREATE INDEX `tokens_by_owner` ON `tokens` (`owner`);--> statement-breakpoint
CREATE TABLE `change_requests` (
	`id` text PRIMARY KEY NOT NULL,
	`operation` text NOT NULL,
	`environments` text NOT NULL,
	`state` text NOT NULL,
	`author` text NOT NULL,
	`comment` text NOT NULL,
	`apply_at` integer,
	`preview` text,
	`decided_by` text,
	`decision` text DEFAULT '' NOT NULL,
	`decided_at` integer,
	`finished_at` integer,
	`failure` text,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `change_requests_due` ON `change_requests` (`state`,`apply_at`);--> statement-breakpoint
CREATE TABLE `revisions` (
	`kind` text NOT NULL,
	`environment` text NOT NULL,
	`key` text NOT NULL,
	`revision` integer NOT NULL,
	`body` text,
	`actor` text NOT NULL,
	`comment` text NOT NULL,
	`at` integer NOT NULL,
	`environments` text NOT NULL,
	PRIMARY KEY(`kind`, `environment`, `key`, `revision`)
);
--> statement-breakpoint
CREATE INDEX `revisions_by_key` ON `revisions` (`kind`,`key`,`at`);--> statement-breakpoint
-- It never holds a row, so it is made anew rather than altered.
DROP TABLE `guard`;--> statement-breakpoint
CREATE TABLE `guard` (
	`fresh` integer,
	`found` integer,
	`acyclic` integer,
	`unreferenced` integer,
	`named` integer,
	`shallow` integer,
	`pending` integer,
	`empty` integer,
	CONSTRAINT "stale_revision" CHECK("guard"."fresh" = 1),
	CONSTRAINT "unknown_reference" CHECK("guard"."found" = 1),
	CONSTRAINT "reference_cycle" CHECK("guard"."acyclic" = 1),
	CONSTRAINT "still_referenced" CHECK("guard"."unreferenced" = 1),
	CONSTRAINT "unknown_variant" CHECK("guard"."named" = 1),
	CONSTRAINT "nested_too_deep" CHECK("guard"."shallow" = 1),
	CONSTRAINT "not_pending" CHECK("guard"."pending" = 1),
	CONSTRAINT "not_empty" CHECK("guard"."empty" = 1)
);
--> statement-breakpoint
ALTER TABLE `environments` ADD `protected` integer DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE `environments` ADD `keep_contexts` integer DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE `environments` ADD `context_keys` text DEFAULT '[]' NOT NULL;--> statement-breakpoint
ALTER TABLE `flag_configurations` ADD `enabled` integer DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE `flags` ADD `search` text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE `flags` ADD `archived_at` integer;--> statement-breakpoint
ALTER TABLE `keys` ADD `expires_at` integer;--> statement-breakpoint
ALTER TABLE `entity_references` ADD `variants` text DEFAULT '[]' NOT NULL;--> statement-breakpoint
CREATE INDEX `history_by_time` ON `history` (`environment`,`at`);--> statement-breakpoint
CREATE TRIGGER `audit_rows_stay` BEFORE DELETE ON `audit` BEGIN
	SELECT RAISE(ABORT, 'audit rows are never deleted');
END;--> statement-breakpoint
CREATE TRIGGER `audit_rows_are_sealed_once` BEFORE UPDATE ON `audit`
WHEN OLD.`hash` IS NOT NULL OR NEW.`id` <> OLD.`id` OR NEW.`at` <> OLD.`at` OR NEW.`actor` <> OLD.`actor`
	OR NEW.`via` <> OLD.`via` OR NEW.`action` <> OLD.`action` OR NEW.`target_kind` <> OLD.`target_kind`
	OR NEW.`target_key` <> OLD.`target_key` OR NEW.`environments` <> OLD.`environments`
	OR NEW.`comment` <> OLD.`comment` OR NEW.`details` <> OLD.`details` OR NEW.`request_id` <> OLD.`request_id`
BEGIN
	SELECT RAISE(ABORT, 'audit rows are never changed');
END;--> statement-breakpoint
UPDATE `flags` SET `search` = lower(`key` || ' ' || `description` || ' ' || `owner` || ' ' || `tags`);--> statement-breakpoint
UPDATE `flag_configurations` SET `enabled` = json_extract(`configuration`, '$.enabled');--> statement-breakpoint
UPDATE `entity_references` SET `variants` = (
	SELECT json_group_array(`named`.`value`) FROM `flag_configurations` AS `source`,
		json_each(`source`.`configuration`, '$.prerequisites') AS `prerequisite`,
		json_each(`prerequisite`.`value`, '$.variants') AS `named`
	WHERE `source`.`environment` = `entity_references`.`environment` AND `source`.`flag` = `entity_references`.`from_key`
		AND json_extract(`prerequisite`.`value`, '$.flag') = `entity_references`.`to_key`
) WHERE `to_kind` = 'flags';--> statement-breakpoint
INSERT INTO `revisions` SELECT 'flag', '', `key`, `revision`, json_object(
	'type', `type`, 'variants', json(`variants`), 'metadata', json(`metadata`),
	'clientVisible', json(iif(`client_visible`, 'true', 'false')), 'description', `description`,
	'tags', json(`tags`), 'owner', `owner`, 'temporary', json(iif(`temporary`, 'true', 'false'))
), 'migration', '', `updated_at`, '{}' FROM `flags`;--> statement-breakpoint
INSERT INTO `revisions` SELECT 'configuration', `environment`, `flag`, `revision`, `configuration`,
	'migration', '', `updated_at`, '{}' FROM `flag_configurations`;--> statement-breakpoint
INSERT INTO `revisions` SELECT 'segment', `environment`, `key`, `revision`, json_object(
	'description', `description`, 'condition', json(`condition`), 'included', json(`included`), 'excluded', json(`excluded`)
), 'migration', '', `updated_at`, '{}' FROM `segments`;--> statement-breakpoint
INSERT INTO `revisions` SELECT 'environment', `key`, '', `revision`, json_object(
	'name', `name`, 'refreshSeconds', `refresh_seconds`, 'protected', json('false'), 'keepContexts', json('false'),
	'contextKeys', json('[]')
), 'migration', '', `created_at`, '{}' FROM `environments`;
