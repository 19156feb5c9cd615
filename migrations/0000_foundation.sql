CREATE TABLE `guard` (
	`fresh` integer,
	`found` integer,
	`acyclic` integer,
	`unreferenced` integer,
	CONSTRAINT "stale_revision" CHECK("guard"."fresh" = 1),
	CONSTRAINT "unknown_reference" CHECK("guard"."found" = 1),
	CONSTRAINT "reference_cycle" CHECK("guard"."acyclic" = 1),
	CONSTRAINT "still_referenced" CHECK("guard"."unreferenced" = 1)
);
--> statement-breakpoint
CREATE TABLE `outbox` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`kind` text NOT NULL,
	`environment` text NOT NULL,
	`version` integer NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `outbox_due` ON `outbox` (`kind`,`environment`,`version`);--> statement-breakpoint
CREATE TABLE `environments` (
	`key` text PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`version` integer NOT NULL,
	`revision` integer NOT NULL,
	`bytes` integer NOT NULL,
	`refresh_seconds` integer NOT NULL,
	`signing_secret` text NOT NULL,
	`created_at` integer NOT NULL,
	CONSTRAINT "environment_too_large" CHECK("environments"."bytes" <= 20971520)
);
--> statement-breakpoint
CREATE TABLE `flag_configurations` (
	`flag` text NOT NULL,
	`environment` text NOT NULL,
	`configuration` text NOT NULL,
	`revision` integer NOT NULL,
	`updated_at` integer NOT NULL,
	PRIMARY KEY(`environment`, `flag`)
);
--> statement-breakpoint
CREATE TABLE `flags` (
	`key` text PRIMARY KEY NOT NULL,
	`type` text NOT NULL,
	`variants` text NOT NULL,
	`metadata` text NOT NULL,
	`client_visible` integer NOT NULL,
	`description` text NOT NULL,
	`tags` text NOT NULL,
	`owner` text NOT NULL,
	`temporary` integer NOT NULL,
	`revision` integer NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `history` (
	`environment` text NOT NULL,
	`version` integer NOT NULL,
	`kind` text NOT NULL,
	`key` text NOT NULL,
	`body` text,
	`actor` text NOT NULL,
	`comment` text NOT NULL,
	`at` integer NOT NULL,
	PRIMARY KEY(`environment`, `version`, `kind`, `key`)
);
--> statement-breakpoint
CREATE INDEX `history_by_entity` ON `history` (`environment`,`kind`,`key`,`version`);--> statement-breakpoint
CREATE TABLE `keys` (
	`id` text PRIMARY KEY NOT NULL,
	`environment` text NOT NULL,
	`kind` text NOT NULL,
	`name` text NOT NULL,
	`hash` text NOT NULL,
	`created_at` integer NOT NULL,
	`revoked_at` integer
);
--> statement-breakpoint
CREATE INDEX `keys_by_environment` ON `keys` (`environment`);--> statement-breakpoint
CREATE TABLE `measurements` (
	`environment` text NOT NULL,
	`flag` text NOT NULL,
	`id` text NOT NULL,
	`kind` text NOT NULL,
	PRIMARY KEY(`environment`, `flag`, `id`)
);
--> statement-breakpoint
CREATE TABLE `entity_references` (
	`environment` text NOT NULL,
	`from_kind` text NOT NULL,
	`from_key` text NOT NULL,
	`to_kind` text NOT NULL,
	`to_key` text NOT NULL,
	PRIMARY KEY(`environment`, `from_kind`, `from_key`, `to_kind`, `to_key`)
);
--> statement-breakpoint
CREATE INDEX `references_by_target` ON `entity_references` (`environment`,`to_kind`,`to_key`);--> statement-breakpoint
CREATE TABLE `segments` (
	`environment` text NOT NULL,
	`key` text NOT NULL,
	`description` text NOT NULL,
	`condition` text,
	`included` text NOT NULL,
	`excluded` text NOT NULL,
	`revision` integer NOT NULL,
	`updated_at` integer NOT NULL,
	PRIMARY KEY(`environment`, `key`)
);
